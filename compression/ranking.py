"""Which units of a model go first: by a criterion's scores, or in plain order where only shapes count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from compression.channels import weakest_channels
from compression.importance import saliency

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from compression.dependencies import ChannelGraph
    from compression.workload import Workload
    from spaces import BlockRun, Criterion, PruneGroup


class Ranking(Protocol):
    """Picks the units that go, of a model as it is when asked."""

    def channels(self, graph: ChannelGraph, leader: str, count: int, criterion: Criterion) -> list[int]:
        """`count` channels of a group, as its leader counts them."""
        ...

    def heads(self, model: nn.Module, group: PruneGroup, count: int, criterion: Criterion) -> list[int]:
        """`count` attention heads of a group."""
        ...


class BySaliency:
    """Ranks by what `compression.importance` says; scores are made once and serve until `forget` is called.

    Args:
        workload: calibration data for the criteria that need them.
        seed: of ``random``.
    """

    def __init__(self, workload: Workload, *, seed: int) -> None:
        self._workload, self._seed = workload, seed
        self._scores: dict[Criterion, Mapping[str, Tensor]] = {}

    def forget(self) -> None:
        """The model has changed: scores are made anew when next asked for."""
        self._scores.clear()

    def scores(self, model: nn.Module, criterion: Criterion) -> Mapping[str, Tensor]:
        """The element scores of a model by parameter name."""
        if criterion not in self._scores:
            self._scores[criterion] = saliency(model, self._workload, criterion, seed=self._seed)
        return self._scores[criterion]

    def channels(self, graph: ChannelGraph, leader: str, count: int, criterion: Criterion) -> list[int]:
        """The channels that matter least."""
        return weakest_channels(graph, leader, count, self.scores(graph.model, criterion), criterion)

    def heads(self, model: nn.Module, group: PruneGroup, count: int, criterion: Criterion) -> list[int]:
        """The heads that matter least; of equal scores the lower one."""
        from compression.heads import head_scores

        scores = head_scores(model, group, self.scores(model, criterion))
        if criterion == "taylor":  # element scores carry signs, a head is what its weights do together
            scores = scores.abs()
        return sorted(torch.argsort(scores, stable=True)[:count].tolist())

    def blocks(self, model: nn.Module, run: BlockRun, count: int, criterion: Criterion) -> list[str]:
        """The removable blocks of a run that matter least, in order of execution."""
        from compression.blocks import block_scores

        scores = block_scores(model, run, self._workload, self.scores(model, criterion), criterion)
        by_block = dict(zip(run.blocks, scores.tolist(), strict=True))
        weakest = set(sorted(run.removable, key=by_block.__getitem__)[:count])
        return [block for block in run.blocks if block in weakest]


class InOrder:
    """Picks the first units: for models whose weights are overwritten, or that are only measured."""

    def channels(self, graph: ChannelGraph, leader: str, count: int, criterion: Criterion) -> list[int]:
        """The first places, in each group of a grouped convolution."""
        divisions = graph.divisions(leader)
        width = graph.channels(leader) // divisions
        return [part * width + place for part in range(divisions) for place in range(count // divisions)]

    def heads(self, model: nn.Module, group: PruneGroup, count: int, criterion: Criterion) -> list[int]:
        """The first heads."""
        return list(range(count))
