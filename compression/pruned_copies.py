"""Pruned copies of one model, many of them: dependencies are traced and units ranked once.

`compression.pruning` traces a model anew for each policy, which takes longer than a few forward passes. Since
all units are chosen on the model as it is, each place of a ratio can be prepared alone, and copies only cut.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from compression.dependencies import ChannelGraph
from compression.ranking import BySaliency
from spaces import CompressionError, InvalidPolicy, layer_pointer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from compression.cuts import Cut
    from compression.workload import Workload
    from spaces import Criterion, PruneGroup

UNITS: Final = frozenset({"channel", "head"})
"""What copies can lose."""


class PrunedCopies:
    """Copies of a model without the least important channels and heads, as `compression.shape` makes them.

    Args:
        model: not changed; copies follow what it is when they are made, their choice of units does not.
        workload: for example inputs, and calibration data where the criterion needs them.
        places: layers where ratios may stand.
        criterion: of importance.
        multiple: the target's ``channel_multiple``.
        seed: of the criterion ``random``.

    Raises:
        InvalidPolicy: a place leads no group of channels or heads that can be pruned.
        CompressionError: dependencies cannot be traced, or a grouped convolution is cut, whose groups only
            `compression.shape` divides.
    """

    def __init__(
        self,
        model: nn.Module,
        workload: Workload,
        places: Iterable[str],
        *,
        criterion: Criterion = "l1",
        multiple: int = 1,
        seed: int = 0,
    ) -> None:
        from compression.heads import head_groups
        from compression.inventory import take_inventory

        inputs = workload.example_inputs()
        inventory = take_inventory(model, inputs)
        self._model, self._multiple, self._criterion = model, multiple, criterion
        self._ranking = BySaliency(workload, seed=seed)
        self._groups = {place: _group(inventory.group_of, place) for place in places}
        self._heads = {group.leader: group for group in head_groups(model, inputs)}
        channels = [group for group in self._groups.values() if group.granularity == "channel"]
        self._graph = ChannelGraph(copy.deepcopy(model), inputs) if channels else None
        self._cuts = {group.leader: self._separate_cuts(group.leader) for group in channels}
        self._removed: dict[tuple[str, int], list[int]] = {}

    def at(self, ratios: Mapping[str, float]) -> nn.Module:
        """A copy that lost the share of each place that a ratio asks, rounded as a policy's is.

        Raises:
            InvalidPolicy: a place was not among those prepared.
        """
        pruned = copy.deepcopy(self._model)
        kept: dict[tuple[str, int], Tensor] = {}
        for place, ratio in ratios.items():
            removed = self._units(place, ratio)
            if not removed:
                continue
            if self._groups[place].granularity == "head":
                from compression.heads import remove_heads

                remove_heads(pruned, self._heads[place], removed)
                continue
            for cut in self._cuts[place]:
                size = self._tensor(cut).shape[cut.dim]
                mask = kept.setdefault((cut.parameter, cut.dim), torch.ones(size, dtype=torch.bool))
                mask[cut.positions[torch.isin(cut.roots, torch.tensor(removed))]] = False
        for (name, dim), mask in kept.items():
            _cut(pruned, name, dim, mask)
        return pruned

    def _units(self, place: str, ratio: float) -> list[int]:
        """The channels or heads that go at a ratio; chosen on the whole model, once."""
        if place not in self._groups:
            raise InvalidPolicy.at(
                layer_pointer(place, "prune/ratio"),
                f"was not prepared for; prepared are: {', '.join(self._groups)}",
            )
        group = self._groups[place]
        count = group.units - group.kept(ratio, self._multiple)
        if count > 0 and (place, count) not in self._removed:
            self._removed[place, count] = self._weakest(group, count)
        return self._removed.get((place, count), [])

    def _weakest(self, group: PruneGroup, count: int) -> list[int]:
        if self._graph is None or group.granularity == "head":  # there is a graph wherever channels may go
            return self._ranking.heads(self._model, self._heads[group.leader], count, self._criterion)
        return self._ranking.channels(self._graph, group.leader, count, self._criterion)

    def _separate_cuts(self, leader: str) -> list[Cut]:
        cuts = self._graph.cuts(leader) if self._graph is not None else []
        if math.lcm(*(cut.divisions for cut in cuts)) > 1:
            raise CompressionError(f"{leader!r} is coupled to a grouped convolution; prune it by `shape`")
        return cuts

    def _tensor(self, cut: Cut) -> Tensor:
        owner, _, own = cut.parameter.rpartition(".")
        tensor: Tensor = getattr(self._model.get_submodule(owner), own)
        return tensor


def _group(known: Mapping[str, PruneGroup], place: str) -> PruneGroup:
    group = known.get(place)
    if group is None or group.leader != place or group.fixed_because is not None:
        reason = "leads no group" if group is None or group.leader != place else group.fixed_because
        raise InvalidPolicy.at(layer_pointer(place, "prune"), f"cannot be pruned: {reason}")
    return group


def _cut(model: nn.Module, name: str, dim: int, mask: Tensor) -> None:
    """Leaves the masked slices of a tensor, and tells its module how many there are."""
    owner, _, own = name.rpartition(".")
    module: Any = model.get_submodule(owner)
    tensor = getattr(module, own)
    left = tensor.detach()[(slice(None),) * dim + (mask,)].clone()
    is_trained = isinstance(tensor, nn.Parameter)
    setattr(module, own, nn.Parameter(left, requires_grad=tensor.requires_grad) if is_trained else left)
    count = int(mask.sum())
    if isinstance(module, nn.LayerNorm):
        module.normalized_shape = (count,)
    for attribute in _COUNTED.get((type(module), dim), ()) if own == "weight" else ():
        setattr(module, attribute, count)
    if isinstance(module, _CONVOLUTIONS) and (own, dim) == ("weight", 0) and module.groups > 1:
        module.groups = module.in_channels = count  # depthwise: a group is a channel


_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_COUNTED: Final[dict[tuple[type[nn.Module], int], tuple[str, ...]]] = {
    **{(kind, 0): ("out_channels",) for kind in _CONVOLUTIONS},
    **{(kind, 1): ("in_channels",) for kind in _CONVOLUTIONS},
    **{(kind, 0): ("num_features",) for kind in _BATCH_NORMS},
    (nn.Linear, 0): ("out_features",),
    (nn.Linear, 1): ("in_features",),
    (nn.Embedding, 1): ("embedding_dim",),
    (nn.PReLU, 0): ("num_parameters",),
}
"""Attributes that count a weight's slices, by kind of module and dimension."""
