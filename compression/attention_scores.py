"""Attention matching: scores before the softmax, by squared distance (Jiao et al. 2020, TinyBERT, eq. 7)."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from compression.block_pairs import evenly, shares_paths
from compression.score_recorder import ScoreRecorder
from compression.tracing import evaluating
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterator

MASKED: Final = -1e4
"""Scores below are masked positions: implementations add minus infinity or their type's least number."""

_Key = tuple[str, int]
"""The module that was running, by path, and how many attentions it had computed before."""


class AttentionScores:
    """Mean over attentions of the mean squared difference of scores, at positions that neither masks.

    Attention is found where it is computed (`ScoreRecorder`), so nothing need be said about the model. A
    student that shares the teacher's paths learns each attention from the same module's; one of another
    architecture from evenly spaced ones. Scores are averaged over heads where the numbers of heads differ.

    Args:
        student: run once on the inputs.
        teacher: likewise.
        inputs: example inputs, batch first.

    Raises:
        CompressionError: one of them computes no attention, or their attentions span different positions.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mine, theirs = _attentions(student, inputs), _attentions(teacher, inputs)
        for role, found in (("student", mine), ("teacher", theirs)):
            if not found:
                raise CompressionError(
                    f"features 'attention' cannot be matched: the {role} computes no attention (neither "
                    "scaled_dot_product_attention nor a softmax over square scores); use 'none' or 'hidden'"
                )
        pairs = _paired(list(mine), list(theirs), by_path=shares_paths(student, teacher))
        for ours, other in pairs:
            if mine[ours][-2:] != theirs[other][-2:]:
                raise CompressionError(
                    f"features 'attention' cannot be matched: {ours[0]!r} of the student attends over "
                    f"{mine[ours][-2:]} positions, {other[0]!r} of the teacher over {theirs[other][-2:]}; "
                    "use 'none' or 'hidden'"
                )
        order, taught = list(mine), list(theirs)
        self._pairs = [(order.index(ours), taught.index(other)) for ours, other in pairs]

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[list[Tensor]]:
        """Yields a list that one pass fills: scores ``n x heads x queries x keys``, in execution order."""
        with ScoreRecorder() as recorder:
            yield recorder.scores

    def loss(self, seen: list[Tensor], taught: list[Tensor]) -> Tensor:
        """A scalar; the teacher's scores get no gradient."""
        losses = [score_loss(seen[mine], taught[theirs].detach()) for mine, theirs in self._pairs]
        return torch.stack(losses).mean()

    def parameters(self) -> Iterator[nn.Parameter]:
        """None."""
        yield from ()

    def to(self, device: torch.device) -> None:
        """Has nothing to move."""


def score_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of two attentions' scores at positions that neither masks.

    Args:
        student: ``n x heads x queries x keys``.
        teacher: the same but for the number of heads; if that differs, both are averaged over heads.

    Returns:
        A scalar; 0 where both agree, or everything is masked.
    """
    if student.shape[1] != teacher.shape[1]:
        student, teacher = student.mean(1), teacher.mean(1)
    seen = (student > MASKED) & (teacher > MASKED)
    difference = torch.where(seen, student - teacher, 0.0)
    return difference.square().sum() / seen.sum().clamp(min=1)


def _attentions(model: nn.Module, inputs: tuple[Tensor, ...]) -> dict[_Key, tuple[int, ...]]:
    """Shapes of the scores of one pass, in execution order."""
    running, owners = [""], list[str]()
    recorder = ScoreRecorder(lambda: owners.append(running[-1]))
    handles = []
    for path, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(lambda *_, path=path: running.append(path)))
        handles.append(module.register_forward_hook(lambda *_: _drop(running), always_call=True))
    try:
        with evaluating(model), recorder:
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    seen = Counter[str]()
    found = {}
    for owner, scores in zip(owners, recorder.scores, strict=True):
        found[owner, seen[owner]] = tuple(scores.shape)
        seen[owner] += 1
    return found


def _drop(running: list[str]) -> None:
    running.pop()


def _paired(mine: list[_Key], theirs: list[_Key], *, by_path: bool) -> list[tuple[_Key, _Key]]:
    if by_path and set(mine) <= set(theirs):
        return [(key, key) for key in mine]
    return evenly(mine, theirs)
