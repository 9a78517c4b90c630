"""Which tensors follow the channels of a layer, channel by channel: found, verified, and cut together.

The graph is Torch-Pruning's (Fang et al. 2023, DepGraph). What it says is not taken on trust: `follows`
permutes a group's channels and sees whether the outputs stay what they were. Ranks nothing.
"""

from __future__ import annotations

import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch
import torch_pruning as tp
from torch import Tensor, nn

from compression.cuts import Cut, cuts_of
from compression.tracing import WEIGHT_LAYERS, evaluating, trace
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

_ROOTS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_TOLERANCE: Final = 1e-3
"""Of the largest output: reordered float32 sums differ by 1e-6, channels gone astray by more than 1e-2."""


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
        self._modules = dict(model.named_modules())
        self._names = {module: name for name, module in self._modules.items()}
        self._order = {call.name: index for index, call in reversed(list(enumerate(trace(model, inputs))))}
        try:
            with _quietly(model):
                self._graph = tp.DependencyGraph().build_dependency(model, example_inputs=inputs)
        except Exception as error:  # any library fault means the same: this model's channels cannot be traced
            raise CompressionError(f"channel dependencies cannot be traced: {error}") from error

    def members(self, exclude: Collection[str] = ()) -> list[tuple[str, ...]]:
        """The layers of each group, in execution order; groups in the order of their first layer.

        Layers that share some channels with others, as a sum with a concatenation does, are one group.

        Args:
            exclude: layers whose groups are left out and not followed: through the repeated keys of
                grouped-query attention, Torch-Pruning 1.6 does not come to an end.
        """
        merged: list[set[str]] = []
        ignored = [self._modules[name] for name in exclude]
        with _quietly(self.model):
            for group in self._graph.get_all_groups(ignored, root_module_types=list(_ROOTS)):
                names = self._outputs(group)
                apart = [other for other in merged if not other & names]
                merged = [*apart, names.union(*(other for other in merged if other & names))]
        found = [tuple(sorted(names, key=self._order.__getitem__)) for names in merged if names]
        return sorted(found, key=lambda names: self._order[names[0]])

    @property
    def layers(self) -> Collection[str]:
        """The weight layers that run, in execution order of their first call."""
        return self._order.keys()

    def channels(self, layer: str) -> int:
        """Present output channels of a layer."""
        module = self._modules[layer]
        return int(self._graph.get_pruner_of_module(module).get_out_channels(module))

    def cuts(self, leader: str) -> list[Cut]:
        """Every tensor that shrinks with a layer's output channels.

        Raises:
            CompressionError: some of them cannot be told, channel by channel.
        """
        group = self._group(leader, range(self.channels(leader)))
        return [cut for item in group.items for cut in cuts_of(item, self._names, self._graph)]

    def coupled(self, leader: str) -> set[str]:
        """The layers all of whose output channels belong to the leader's, one to one; the leader included."""
        group, channels = self._group(leader, range(self.channels(leader))), self.channels(leader)
        return {
            name
            for item in group.items
            for name in self._outputs([item])
            if self.channels(name) == channels == len(set(item.root_idxs)) == len(item.idxs)
        }

    def divisions(self, leader: str) -> int:
        """Channels that can only go together: one from each group of a grouped convolution."""
        return math.lcm(*(cut.divisions for cut in self.cuts(leader)))

    def follows(self, leader: str) -> bool:
        """Whether the model computes the same when a group's channels change places.

        It does if and only if every layer takes each channel from where the dependencies say; so no channel
        of another meaning can be cut. Nothing remains changed.

        Raises:
            CompressionError: some tensors cannot be told channel by channel.
        """
        cuts, channels = self.cuts(leader), self.channels(leader)
        divisions = math.lcm(*(cut.divisions for cut in cuts))
        width = channels // divisions
        shuffled = torch.randperm(width, generator=torch.Generator().manual_seed(0))
        order = (torch.arange(divisions)[:, None] * width + shuffled).flatten()
        before = output_tensors(self.model, self.inputs)
        tensors = {cut.parameter: self._tensor(cut) for cut in cuts}
        kept = {name: tensor.clone() for name, tensor in tensors.items()}
        try:
            for cut in cuts:
                cut.permute(tensors[cut.parameter], order)
            after = output_tensors(self.model, self.inputs)
        finally:
            for name, tensor in tensors.items():
                tensor.copy_(kept[name])
        return len(before) == len(after) and all(map(_agree, before, after))

    def remove(self, leader: str, channels: Sequence[int]) -> None:
        """Removes channels of a group from all its layers.

        Args:
            leader: any layer of the group; channels are counted there.
            channels: to remove, in any order, not all of them; none does nothing.

        Raises:
            CompressionError: the group cannot lose these channels.
        """
        if not len(channels):
            return
        present = self.channels(leader)
        if len(channels) >= present:
            raise CompressionError(f"layer {leader!r} has {present} channels and cannot lose {len(channels)}")
        removed = torch.tensor(sorted(channels))
        for cut in self.cuts(leader):
            cut.check_divided(removed)
        group = self._group(leader, sorted(channels))
        with _quietly(self.model):
            if not self._graph.check_pruning_group(group):
                raise CompressionError(
                    f"removing {len(channels)} of {present} channels at {leader!r} would empty a layer"
                )
            with _keeping_layouts(self.model):
                group.prune()

    def _group(self, leader: str, channels: Sequence[int]) -> Any:
        module = self._modules[leader]
        function = self._graph.get_pruner_of_module(module).prune_out_channels
        with _quietly(self.model):
            return self._graph.get_pruning_group(module, function, idxs=list(channels))

    def _outputs(self, items: Any) -> set[str]:
        layers = set()
        for item in items:
            module = item.dep.target.module
            is_output = self._graph.is_out_channel_pruning_fn(item.dep.handler)
            if is_output and isinstance(module, WEIGHT_LAYERS) and self._names.get(module) in self._order:
                layers.add(self._names[module])
        return layers

    def _tensor(self, cut: Cut) -> Tensor:
        owner, _, own = cut.parameter.rpartition(".")
        tensor: Tensor = getattr(self.model.get_submodule(owner), own)
        return tensor.detach()


def output_tensors(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """All tensors that a model returns, in order, in eval mode."""
    with evaluating(model):
        return list(_tensors_in(model(*inputs)))


def _tensors_in(outputs: Any) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, dict):
        for part in outputs.values():
            yield from _tensors_in(part)
    elif isinstance(outputs, tuple | list):
        for part in outputs:
            yield from _tensors_in(part)


def _agree(before: Tensor, after: Tensor) -> bool:
    if before.shape != after.shape:
        return False
    if not before.is_floating_point():
        return torch.equal(before, after)
    scale = float(before.abs().max()) if before.numel() else 0.0
    return torch.allclose(before, after, rtol=0.0, atol=_TOLERANCE * scale, equal_nan=True)


@contextmanager
def _keeping_layouts(model: nn.Module) -> Iterator[None]:
    """Torch-Pruning 1.6 makes new weights in the default layout; those whose channels were last stay so."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    last = [
        (module, name, formats[parameter.dim()])
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.dim() in formats
        and not parameter.is_contiguous()
        and parameter.is_contiguous(memory_format=formats[parameter.dim()])
    ]
    yield
    for module, name, layout in last:
        parameter = getattr(module, name)
        parameter.data = parameter.data.contiguous(memory_format=layout)


@contextmanager
def _quietly(model: nn.Module) -> Iterator[None]:
    """Torch-Pruning 1.6 traces gradients, warns about parameters it does not know, and needs autograd on.

    Flags return by name: pruned parameters are new objects.
    """
    required = [
        (module, name, parameter.requires_grad)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if parameter.is_floating_point()
    ]
    was_training = model.training
    model.eval()
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            for module, name, _ in required:
                getattr(module, name).requires_grad_(True)
            yield
    finally:
        for module, name, flag in required:
            getattr(module, name).requires_grad_(flag)
        model.train(was_training)
