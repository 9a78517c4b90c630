"""Channel pruning through dependency groups: whole channels go, and every coupled layer shrinks with them.

The groups come from Torch-Pruning's dependency graph (Fang et al. 2023, DepGraph); ratios, rounding and
the choice of groups are the policy's.
"""

from __future__ import annotations

import copy
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from compression.tracing import WEIGHT_LAYERS, evaluating, trace
from spaces import CompressionError, InvalidPolicy, Policy, Prune, PruneGroup, kept_channels, layer_pointer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROOTS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


class ChannelGraph:
    """The channel dependencies of one model; pruning changes the model in place.

    Args:
        model: any traceable module; it is kept and pruned in place.
        inputs: example inputs, batch first.

    Raises:
        CompressionError: the dependencies cannot be traced.
    """

    def __init__(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.model, self.inputs = model, inputs
        self._names = {module: name for name, module in model.named_modules()}
        calls = trace(model, inputs)
        self._order = {call.name: index for index, call in reversed(list(enumerate(calls)))}
        self._modules = dict(model.named_modules())
        try:
            with _quietly(model):
                self._graph = tp.DependencyGraph().build_dependency(model, example_inputs=inputs)
        except Exception as error:  # any library fault means the same: this model's channels cannot be traced
            raise CompressionError(f"channel dependencies cannot be traced: {error}") from error

    def members(self) -> list[tuple[str, ...]]:
        """The layers of each group, in execution order; groups in the order of their first layer."""
        with _quietly(self.model):
            groups = [
                self._outputs(group) for group in self._graph.get_all_groups(root_module_types=list(_ROOTS))
            ]
        found = {tuple(sorted(names, key=self._order.__getitem__)) for names in groups if names}
        return sorted(found, key=lambda names: self._order[names[0]])

    def channels(self, layer: str) -> int:
        """Present output channels of a layer."""
        weight: Any = self._modules[layer].weight
        return int(weight.shape[0])

    def remove(self, leader: str, count: int, criterion: str, generator: torch.Generator) -> None:
        """Removes the least important channels of a group.

        Args:
            leader: any layer of the group; channels are counted there.
            count: channels to remove, fewer than there are; 0 does nothing.
            criterion: ``l1``, ``l2`` (norms summed over the group's layers) or ``random``.
            generator: for ``random``.

        Raises:
            CompressionError: the group cannot lose that many channels, or the criterion is not to be had.
        """
        if count == 0:
            return
        channels = self.channels(leader)
        if count >= channels:
            raise CompressionError(f"layer {leader!r} has {channels} channels and cannot lose {count}")
        with _quietly(self.model):
            group = self._pruning_group(leader, list(range(channels)))
            scores = _scores(group, criterion, channels, generator)
            # stable: ties go to the lower index, so that the same weights always lose the same channels
            weakest = torch.argsort(scores, stable=True)[:count].sort().values.tolist()
            group = self._pruning_group(leader, weakest)
            if not self._graph.check_pruning_group(group):
                raise CompressionError(
                    f"removing {count} of {channels} channels at {leader!r} would empty a layer"
                )
            group.prune()

    def _pruning_group(self, leader: str, indices: list[int]) -> Any:
        module = self._modules[leader]
        function = (
            tp.prune_linear_out_channels if isinstance(module, nn.Linear) else tp.prune_conv_out_channels
        )
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d) and module.groups == module.out_channels > 1:
            function = tp.prune_depthwise_conv_out_channels
        return self._graph.get_pruning_group(module, function, idxs=indices)

    def _outputs(self, group: Any) -> set[str]:
        layers = set()
        for dependency, _ in group:
            module = dependency.target.module
            is_output = self._graph.is_out_channel_pruning_fn(dependency.handler)
            if is_output and isinstance(module, WEIGHT_LAYERS) and self._names.get(module) in self._order:
                layers.add(self._names[module])
        return layers


def channel_groups(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[PruneGroup, ...]:
    """The groups of a model, with the reason for each that cannot be pruned.

    A group is tried on a copy: if the model no longer runs, or an output changes shape, it is fixed.

    Args:
        model: not changed.
        inputs: example inputs, batch first.
    """
    graph = ChannelGraph(copy.deepcopy(model), inputs)
    groups, shapes = [], _output_shapes(model, inputs)
    for names in graph.members():
        leader, channels = names[0], graph.channels(names[0])
        reason = _why_fixed(graph, leader, shapes)
        if reason is not None:  # the copy may be broken now
            graph = ChannelGraph(copy.deepcopy(model), inputs)
        groups.append(PruneGroup(leader, names, channels, reason))
    return tuple(groups)


def _why_fixed(graph: ChannelGraph, leader: str, shapes: list[tuple[int, ...]]) -> str | None:
    if graph.channels(leader) == 1:
        return "has a single channel"
    try:
        graph.remove(leader, 1, "l1", torch.Generator())
        after = _output_shapes(graph.model, graph.inputs)
    except (CompressionError, RuntimeError, ValueError, IndexError) as error:
        return f"cannot be pruned: {str(error).splitlines()[0]}"
    return None if after == shapes else "its channels are the model's output"


def _output_shapes(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[tuple[int, ...]]:
    with evaluating(model):
        outputs = model(*inputs)
    tensors = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    return [tuple(tensor.shape) for tensor in tensors if isinstance(tensor, Tensor)]


def prune_channels(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    policy: Policy,
    *,
    multiple: int,
    seed: int,
) -> None:
    """Applies the channel ratios of a policy, in place.

    Args:
        model: of the policy's student.
        inputs: example inputs, batch first.
        policy: ratios stand at the leaders of groups.
        multiple: channels that remain are rounded up to it.
        seed: of the criterion ``random``.

    Raises:
        InvalidPolicy: a layer does not exist, is not its group's leader, or its channels cannot be pruned.
        CompressionError: the model's dependencies cannot be traced.
    """
    asked = {
        name: layer.prune for name, layer in policy.layers.items() if layer.prune and layer.prune.ratio > 0
    }
    if not asked:
        return
    groups = {group.leader: group for group in channel_groups(model, inputs)}
    _check(asked, groups)
    graph = ChannelGraph(model, inputs)
    generator = torch.Generator().manual_seed(seed)
    for leader, group in groups.items():
        prune = asked.get(leader)
        if prune is not None:
            count = group.units - kept_channels(group.units, prune.ratio, multiple)
            graph.remove(leader, count, prune.criterion, generator)


def shrink_width(model: nn.Module, inputs: tuple[Tensor, ...], width: float, *, multiple: int) -> None:
    """Removes the same share of every group that can be pruned, in place, keeping the largest by L1 norm.

    Args:
        model: the reference's copy.
        inputs: example inputs, batch first.
        width: share of channels kept, ``0 < width <= 1``.
        multiple: channels that remain are rounded up to it.
    """
    leaders = [group for group in channel_groups(model, inputs) if group.fixed_because is None]
    graph = ChannelGraph(model, inputs)
    for group in leaders:
        count = group.units - kept_channels(group.units, 1 - width, multiple)
        graph.remove(group.leader, count, "l1", torch.Generator())


def _check(asked: Mapping[str, Prune], groups: Mapping[str, PruneGroup]) -> None:
    leader_of = {name: group.leader for group in groups.values() for name in group.layers}
    for name, prune in asked.items():
        pointer = layer_pointer(name, "prune")
        if prune.granularity != "channel":
            raise InvalidPolicy.at(
                pointer, f"granularity {prune.granularity!r} cannot be applied; use 'channel'"
            )
        if name not in leader_of:
            raise InvalidPolicy.at(
                pointer, f"the model has no prunable layer {name!r}; it has {_list(leader_of)}"
            )
        if leader_of[name] != name:
            detail = f"{name!r} is coupled to {leader_of[name]!r}; the ratio stands there and holds for both"
            raise InvalidPolicy.at(pointer, detail)
        if (reason := groups[name].fixed_because) is not None:
            raise InvalidPolicy.at(pointer, f"layer {name!r}: {reason}")


def _list(names: Mapping[str, str]) -> str:
    return ", ".join(names)


def _scores(group: Any, criterion: str, channels: int, generator: torch.Generator) -> Tensor:
    if criterion == "random":
        return torch.rand(channels, generator=generator)
    order = {"l1": 1, "l2": 2}.get(criterion)
    if order is None:
        raise CompressionError(f"criterion {criterion!r} cannot be applied to channels; use l1, l2 or random")
    importance = tp.importance.GroupMagnitudeImportance(p=order, group_reduction="sum", normalizer=None)
    scores = importance(group)
    if not isinstance(scores, Tensor) or scores.numel() != channels:
        raise CompressionError(
            "the group's layers share no common channel index, so channels cannot be ranked"
        )
    return scores.detach().cpu()


@contextmanager
def _quietly(model: nn.Module) -> Iterator[None]:
    """Torch-Pruning 1.6 traces gradients, warns about parameters it does not know, and needs autograd on."""
    required = {parameter: parameter.requires_grad for parameter in model.parameters()}
    was_training = model.training
    model.eval()
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            for parameter in required:
                parameter.requires_grad_(True)
            yield
    finally:
        for parameter, flag in required.items():
            parameter.requires_grad_(flag)
        model.train(was_training)
