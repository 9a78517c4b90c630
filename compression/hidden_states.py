"""Hidden-state matching: the outputs of repeated blocks, by squared distance (Jiao et al. 2020, eq. 8)."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from compression.block_pairs import pair_blocks
from compression.tracing import evaluating
from compression.workload import main_output
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two blocks, and how the student's states are brought to the teacher's shape."""

    student: str
    teacher: str
    is_pooled: bool
    channel: int
    projection: nn.Linear | None


class HiddenStates:
    """Mean over pairs of blocks of the mean squared difference of their outputs.

    States of one shape are compared as they are. Where a single dimension differs it is the channels', and a
    linear projection without bias, learned along with the student, maps the student's to the teacher's.
    Where more differs, or the rank, both are averaged over all but batch and channels first. Channels are
    then the last dimension of states of up to three dimensions (tokens), else the second (images).

    Args:
        student: whose blocks are paired as `pair_blocks` says.
        teacher: the reference.
        inputs: example inputs, batch first; both models run on them once.

    Raises:
        CompressionError: there are no two blocks to pair.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        paths = pair_blocks(student, teacher)
        self._paths = {path for pair in paths for path in pair}
        shapes = []
        for model in (student, teacher):
            with evaluating(model), self.watching(model) as seen:
                model(*inputs)
            shapes.append({path: tuple(states.shape) for path, states in seen.items()})
        self._pairs = [
            _pair((mine, shapes[0][mine]), (theirs, shapes[1][theirs]))
            for mine, theirs in paths
            if mine in shapes[0] and theirs in shapes[1]
        ]
        if not self._pairs:
            raise CompressionError(
                "features 'hidden' cannot be matched: student and teacher have no repeated blocks that run; "
                "use 'none'"
            )

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[dict[str, Tensor]]:
        """Yields a dictionary that one pass fills: outputs of the blocks by path, of the last call each."""
        seen: dict[str, Tensor] = {}
        handles = [
            module.register_forward_hook(_recorder(seen, path))
            for path, module in model.named_modules()
            if path in self._paths
        ]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()

    def loss(self, seen: dict[str, Tensor], taught: dict[str, Tensor]) -> Tensor:
        """A scalar; the teacher's states get no gradient."""
        losses = []
        for pair in self._pairs:
            mine, theirs = seen[pair.student], taught[pair.teacher].detach()
            if pair.is_pooled:
                mine, theirs = _pooled(mine), _pooled(theirs)
            if pair.projection is not None:
                mine = pair.projection(mine.movedim(pair.channel, -1)).movedim(-1, pair.channel)
            losses.append(F.mse_loss(mine, theirs))
        return torch.stack(losses).mean()

    def parameters(self) -> Iterator[nn.Parameter]:
        """The projections' weights, ``teacher's channels x student's channels``."""
        for pair in self._pairs:
            if pair.projection is not None:
                yield from pair.projection.parameters()

    def to(self, device: torch.device) -> None:
        """Moves the projections."""
        for pair in self._pairs:
            if pair.projection is not None:
                pair.projection.to(device)


def _pair(student: tuple[str, tuple[int, ...]], teacher: tuple[str, tuple[int, ...]]) -> _Pair:
    (mine, small), (theirs, large) = student, teacher
    if len(small) == len(large):
        differing = [index for index in range(1, len(small)) if small[index] != large[index]]
        if not differing:
            return _Pair(mine, theirs, False, -1, None)
        if len(differing) == 1:
            channel = differing[0]
            return _Pair(mine, theirs, False, channel, _projection(small[channel], large[channel]))
    widths = small[_channel_of(len(small))], large[_channel_of(len(large))]
    return _Pair(mine, theirs, True, -1, None if widths[0] == widths[1] else _projection(*widths))


def _projection(inputs: int, outputs: int) -> nn.Linear:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Linear(inputs, outputs, bias=False)


def _channel_of(rank: int) -> int:
    return rank - 1 if rank <= 3 else 1  # noqa: PLR2004  # n x c, n x tokens x c, n x c x h x w


def _pooled(states: Tensor) -> Tensor:
    channels_last = states.movedim(_channel_of(states.ndim), -1)
    return channels_last.flatten(1, -2).mean(1) if channels_last.ndim > 2 else channels_last  # noqa: PLR2004


def _recorder(seen: dict[str, Tensor], path: str) -> Callable[..., None]:
    def record(module: nn.Module, args: tuple[object, ...], output: object) -> None:
        seen[path] = main_output(output)

    return record
