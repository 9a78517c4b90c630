"""Applies the pruning of a policy to a model: whole units are cut out, single weights become zero.

At once, or in steps with training between them: `Pruner.advance` takes the share of the way to go.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from compression.channels import check_normalized
from compression.dependencies import ChannelGraph
from compression.inventory import take_inventory
from compression.prunable import misfit_rows, misfits, weight_names
from compression.ranking import BySaliency, InOrder, Ranking
from compression.sparsity import apply_masks, carried, pattern_mask, ratio_masks, removed_count
from spaces import CompressionError, InvalidPolicy, LayerInventory, Policy, Prune, layer_pointer, n_of_m

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from compression.workload import Workload
    from spaces import Criterion, PruneGroup


def cubic_shares(steps: int) -> tuple[float, ...]:
    """The shares of the final sparsity after each of some steps: ``1 - (1 - k/n)³`` for k = 1 … n.

    Much goes while much is redundant, little at the end (Zhu & Gupta 2017, eq. 1, from zero sparsity).

    Args:
        steps: at least 1.

    Returns:
        `steps` ascending shares; the last is exactly 1.
    """
    if steps < 1:
        raise CompressionError(f"pruning takes at least 1 step, not {steps}")
    return tuple(1.0 - (1.0 - step / steps) ** 3 for step in range(1, steps + 1))


class Pruner:
    """One model on its way to what a policy prunes.

    Whole blocks go first, then heads and channels, all ranked on the same model, then single weights of what
    is left. What a policy says of a layer inside a block that goes, goes with it.

    Args:
        model: of the policy's student, not pruned; changed in place by `advance` alone.
        workload: for example inputs, and calibration data where a criterion needs them.
        policy: its ``prune`` entries.
        multiple: the target's ``channel_multiple``; channels that remain are rounded up to it.
        seed: of the criterion ``random``.

    Attributes:
        masks: of weights pruned one by one or by n:m, by parameter name: true where the weight stays. Boolean
            tensors on the CPU, of the weights' present shapes; empty before the first `advance`.
        removed_blocks: module paths of the blocks that are gone, in the order in which they went.

    Raises:
        InvalidPolicy: entries that do not fit the model, all of them, with pointers.
        CompressionError: the model's dependencies cannot be traced, or ``bn_scale`` finds no scale.
    """

    def __init__(
        self, model: nn.Module, workload: Workload, policy: Policy, *, multiple: int, seed: int = 0
    ) -> None:
        self.masks: dict[str, Tensor] = {}
        self.removed_blocks: tuple[str, ...] = ()
        self._model, self._inputs, self._multiple = model, workload.example_inputs(), multiple
        self._ranking = BySaliency(workload, seed=seed)
        self._share = 0.0
        self._entries = {
            name: layer.prune
            for name, layer in policy.layers.items()
            if layer.prune is not None and not layer.prune.is_empty
        }
        is_structured = any(prune.is_structured for prune in self._entries.values())
        self._offer = take_inventory(model, self._inputs) if is_structured else LayerInventory(())
        self._check()

    def advance(self, share: float = 1.0) -> None:
        """Prunes until a share of every ratio and threshold is reached; what is pruned stays pruned.

        Importance is taken anew from the model as it is, on each call that removes anything. At share 1 the
        policy is reached exactly: `PruneGroup.kept` channels or heads, ``floor(ratio * weights)`` zeros in a
        layer, n of every m weights, every magnitude at least the threshold.

        Args:
            share: from 0 to 1; less than an earlier one does nothing.

        Raises:
            InvalidPolicy: a threshold would empty a layer.
            CompressionError: a model that training changed cannot lose what the policy asks.
            WorkloadError: the criterion's data or loss cannot be used.
        """
        if not 0 <= share <= 1:
            raise CompressionError(f"the share of pruning must be from 0 to 1, not {share:g}")
        if share <= self._share and share < 1:
            return
        self._share = share
        self._ranking.forget()
        self._remove_blocks(share)
        self._remove_units(self._model, share, self._ranking)
        self._mask_weights(share)
        apply_masks(self._model, self.masks)

    def advance_like(self, removed_blocks: Sequence[str]) -> None:
        """Gives the model its final shapes without data: for weights that are loaded afterwards.

        Args:
            removed_blocks: as the pruner that made those weights has them.
        """
        if removed_blocks:
            self._drop_blocks(removed_blocks)
        self._remove_units(self._model, 1.0, InOrder())
        self._share = 1.0

    def _check(self) -> None:
        faults = tuple(misfits(self._model, self._entries, self._offer))
        if not faults and any(n_of_m(prune.granularity) for prune in self._entries.values()):
            shaped = copy.deepcopy(self._model)
            self._remove_units(shaped, 1.0, InOrder())
            faults = tuple(misfit_rows(shaped, self._entries))
        if faults:
            raise InvalidPolicy(faults)
        scaled = [leader for leader, prune in self._of("channel") if prune.criterion == "bn_scale"]
        if scaled:
            graph = ChannelGraph(self._model, self._inputs)
            for leader in scaled:
                check_normalized(graph, leader)

    def _of(self, granularity: str) -> Iterator[tuple[str, Prune]]:
        return ((name, prune) for name, prune in self._entries.items() if prune.granularity == granularity)

    def _remove_blocks(self, share: float) -> None:
        asked = dict(self._of("layer"))
        if not asked:
            return
        from compression.blocks import block_runs

        originals = {run.container: run for run in self._offer.runs}
        present = {run.container: run for run in block_runs(self._model, self._inputs)}
        chosen: list[str] = []
        for container, prune in asked.items():
            blocks = originals[container].blocks
            gone = sum(block in blocks for block in self.removed_blocks)
            count = removed_count(len(blocks), prune.ratio * share) - gone
            if count <= 0:
                continue
            run = present.get(container)
            if run is None or count > len(run.removable):
                raise CompressionError(
                    f"{container!r} cannot lose {count} more blocks: the widths around them differ by now"
                )
            chosen += self._ranking.blocks(self._model, run, count, prune.criterion)
        if chosen:
            self._drop_blocks(chosen)

    def _drop_blocks(self, blocks: Sequence[str]) -> None:
        from compression.blocks import remove_blocks

        with carried(self._model, self.masks):
            remove_blocks(self._model, blocks)
        self.removed_blocks += tuple(blocks)
        self._ranking.forget()

    def _remove_units(self, model: nn.Module, share: float, ranking: Ranking) -> None:
        """Heads and channels: all are chosen before any goes, so that no choice depends on their order."""
        is_own = model is self._model
        heads = self._heads_due(model, share, ranking)
        graph, channels = self._channels_due(model, share, ranking)
        if not heads and not channels:
            return
        with carried(model, self.masks if is_own else {}):
            if graph is not None:
                for leader, places in channels.items():
                    graph.remove(leader, places)
            for group, units in heads:
                from compression.heads import remove_heads

                remove_heads(model, group, units)
        self._ranking.forget()

    def _heads_due(
        self, model: nn.Module, share: float, ranking: Ranking
    ) -> list[tuple[PruneGroup, list[int]]]:
        asked = dict(self._of("head"))
        if not asked:
            return []
        from compression.heads import head_groups

        present = {group.leader: group for group in head_groups(model, self._inputs)}
        due: list[tuple[PruneGroup, list[int]]] = []
        for leader, prune in asked.items():
            group = present.get(leader)
            if group is None:  # its block is gone
                continue
            count = group.units - self._offer.group_of[leader].kept(prune.ratio * share, self._multiple)
            if count > 0:
                due.append((group, ranking.heads(model, group, count, prune.criterion)))
        return due

    def _channels_due(
        self, model: nn.Module, share: float, ranking: Ranking
    ) -> tuple[ChannelGraph | None, dict[str, list[int]]]:
        asked = dict(self._of("channel"))
        if not asked:
            return None, {}
        graph, due = ChannelGraph(model, self._inputs), {}
        for name, prune in asked.items():
            group = self._offer.group_of[name]
            left = [layer for layer in group.layers if layer in graph.layers]
            if not left:  # its block is gone
                continue
            count = graph.channels(left[0]) - group.kept(prune.ratio * share, self._multiple)
            if count > 0:
                due[left[0]] = ranking.channels(graph, left[0], count, prune.criterion)
        return graph, due

    def _mask_weights(self, share: float) -> None:
        for layer, prune in self._entries.items():
            names = [] if prune.is_structured else weight_names(self._model, layer)
            if not names:  # structured, or gone with its block
                continue
            scores = [self._standing(name, prune.criterion) for name in names]
            pattern = n_of_m(prune.granularity)
            if prune.threshold is not None:
                masks = [score >= prune.threshold * share for score in scores]
                if not any(bool(mask.any()) for mask in masks):
                    detail = f"no weight of {layer!r} reaches {prune.threshold:g}; lower the threshold"
                    raise InvalidPolicy.at(layer_pointer(layer, "prune/threshold"), detail)
            elif pattern is not None:
                n, m = pattern
                masks = [pattern_mask(score, m - removed_count(m - n, share), m) for score in scores]
            else:
                masks = ratio_masks(scores, prune.ratio * share)
            self.masks.update(zip(names, masks, strict=True))

    def _standing(self, name: str, criterion: Criterion) -> Tensor:
        """Scores of single weights, in which those that are gone come last and cannot return."""
        scores = self._ranking.scores(self._model, criterion)[name].abs()
        mask = self.masks.get(name)
        return scores if mask is None else torch.where(mask, scores, -1.0)
