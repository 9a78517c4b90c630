"""Channel groups of a model, which of their channels matter least, and how narrow students lose them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from compression.dependencies import ChannelGraph, output_tensors
from compression.importance import NORM_LAYERS, magnitudes, reduce_scores
from spaces import CompressionError, Criterion, PruneGroup

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from compression.cuts import Cut


def channel_groups(
    model: nn.Module, inputs: tuple[Tensor, ...], exclude: Collection[str] = ()
) -> tuple[PruneGroup, ...]:
    """The groups of a model, with the reason for each that cannot be pruned.

    A group is tried on a copy: its channels change places, which may not change what the model computes, and
    some are cut, which may neither break the model nor change its outputs' shapes. If they do, it is fixed.

    Args:
        model: not changed.
        inputs: example inputs, batch first.
        exclude: layers whose outputs are no plain channels, such as attention heads; groups with any of them
            are left out.

    Raises:
        CompressionError: the dependencies cannot be traced.
    """
    ties = tied_layers(model)
    shapes = [tensor.shape for tensor in output_tensors(model, inputs)]
    graph = ChannelGraph(copy.deepcopy(model), inputs)
    groups = []
    for names in graph.members(exclude):
        units, multiple = graph.channels(names[0]), 1
        reason = _why_inseparable(graph, names, ties)
        if reason is None:
            multiple = graph.divisions(names[0])
            reason = _why_breaking(graph, names[0], multiple, shapes)
            if reason is not None:  # the copy may be broken now
                graph = ChannelGraph(copy.deepcopy(model), inputs)
        groups.append(PruneGroup(names[0], names, units, reason, multiple=multiple))
    return tuple(groups)


def weakest_channels(
    graph: ChannelGraph, leader: str, count: int, scores: Mapping[str, Tensor], criterion: Criterion
) -> list[int]:
    """The channels of a group that matter least.

    A channel's score adds up the element scores of all that goes with it: its rows in the layers that make
    it, its columns in those that read it (for ``bn_scale``, the scales of its normalizations). Where a
    grouped convolution ties channels together, the same place goes in each of its groups.

    Args:
        graph: of the model that the scores are of.
        leader: any layer of the group.
        count: how many, a multiple of `ChannelGraph.divisions`.
        scores: by `compression.importance.saliency`.
        criterion: that they were made by.

    Returns:
        Ascending channels of the leader; of equal scores the lower channel goes.

    Raises:
        CompressionError: ``bn_scale``, and nothing in the group is normalized with a scale.
    """
    channels, divisions = graph.channels(leader), graph.divisions(leader)
    parts = [
        _by_channel(scores[cut.parameter], cut, channels)
        for cut in graph.cuts(leader)
        if cut.parameter in scores
    ]
    if not parts:
        raise CompressionError(_unnormalized(leader))
    total = reduce_scores([part.reshape(divisions, -1).T for part in parts], criterion)
    places = torch.argsort(total, stable=True)[: count // divisions].sort().values
    width = channels // divisions
    return [part * width + place for part in range(divisions) for place in places.tolist()]


def check_normalized(graph: ChannelGraph, leader: str) -> None:
    """Refuses a group that ``bn_scale`` cannot rank.

    Raises:
        CompressionError: nothing in the group is normalized with a scale.
    """
    for cut in graph.cuts(leader):
        if cut.tensor == "weight" and isinstance(graph.model.get_submodule(cut.name), NORM_LAYERS):
            return
    raise CompressionError(_unnormalized(leader))


def shrink_width(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    width: float,
    *,
    multiple: int,
    exclude: Collection[str] = (),
) -> None:
    """Removes the same share of every group that can be pruned, in place, keeping the largest by L1 norm.

    Args:
        model: the reference's copy.
        inputs: example inputs, batch first.
        width: share of channels kept, ``0 < width <= 1``.
        multiple: channels that remain are rounded up to it.
        exclude: as for `channel_groups`.
    """
    groups = [group for group in channel_groups(model, inputs, exclude) if group.fixed_because is None]
    graph, scores = ChannelGraph(model, inputs), magnitudes(model, "l1")
    weakest = {
        group.leader: weakest_channels(
            graph, group.leader, group.units - group.kept(1 - width, multiple), scores, "l1"
        )
        for group in groups
    }
    for leader, channels in weakest.items():
        graph.remove(leader, channels)


def tied_layers(model: nn.Module) -> dict[str, str]:
    """Layers whose weight is another layer's too: the other one by module path, both ways round."""
    owners: dict[int, str] = {}
    ties: dict[str, str] = {}
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            other = owners.setdefault(id(parameter), name)
            if other != name:
                ties[name] = other
                ties.setdefault(other, name)
    return ties


def _why_inseparable(graph: ChannelGraph, names: tuple[str, ...], ties: Mapping[str, str]) -> str | None:
    """Why a group cannot be told channel by channel; changes nothing."""
    leader = names[0]
    try:
        cuts, coupled, divisions = graph.cuts(leader), graph.coupled(leader), graph.divisions(leader)
    except CompressionError as error:
        return f"cannot be pruned: {error}"
    for cut in cuts:
        if cut.name in ties:
            return f"the weight of {cut.name!r} is tied to {ties[cut.name]!r}"
    for name in names:
        if name not in coupled:
            return f"its channels are coupled to only some of those of {name!r}"
    units = graph.channels(leader)
    if units == divisions:
        return "has a single channel" + (f" in each of {divisions} groups" if divisions > 1 else "")
    if units % divisions:
        return f"its {units} channels cannot be divided among {divisions} groups"
    return None


def _why_breaking(graph: ChannelGraph, leader: str, divisions: int, shapes: list[torch.Size]) -> str | None:
    try:
        follows = graph.follows(leader)
        width = graph.channels(leader) // divisions
        graph.remove(leader, [part * width for part in range(divisions)])
        after = [tensor.shape for tensor in output_tensors(graph.model, graph.inputs)]
    # Whatever the model's own code raises on other widths, it cannot be pruned there.
    except (CompressionError, RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        return f"cannot be pruned: {lines[0]}"
    if after != shapes:
        return "its channels are the model's output"
    return None if follows else "the layers after it do not take its channels one by one"


def _by_channel(scores: Tensor, cut: Cut, channels: int) -> Tensor:
    """The element scores of one tensor, summed for each of the leader's channels."""
    values = scores.to(torch.float64).movedim(cut.dim, 0)
    if cut.is_repeated:  # rows of each group of a grouped convolution have columns of their own
        values = scores.to(torch.float64).reshape(cut.divisions, -1, *scores.shape[1:])
        values = values.transpose(1, 2).flatten(0, 1)
    sums = values.flatten(1).sum(1) if values.dim() > 1 else values
    return torch.zeros(channels, dtype=torch.float64).index_add(0, cut.roots, sums[cut.positions])


def _unnormalized(leader: str) -> str:
    return (
        f"layer {leader!r}: criterion 'bn_scale' needs a normalization layer with a scale after it, and there"
        " is none; use another criterion"
    )
