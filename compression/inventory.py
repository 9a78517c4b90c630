"""Makes the inventory of a model: its layers as they execute, the groups among them, its runs of blocks."""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor, nn

from compression.blocks import block_runs
from compression.channels import channel_groups
from compression.heads import HeadGroup, head_groups
from compression.tracing import QUANTIZABLE_LAYERS, trace
from spaces import LayerInfo, LayerInventory, PruneGroup, WorkloadError

_OPS: Final = ((nn.Linear, "linear"), (nn.Embedding, "embedding"), (nn.LSTM, "lstm"), (nn.GRU, "gru"))


def take_inventory(model: nn.Module, inputs: tuple[Tensor, ...]) -> LayerInventory:
    """The inventory of a model.

    The layers of an attention with several heads are a group of heads, whether these can be removed or not,
    and never one of channels; those of an attention whose heads are one, or unknown, are groups of channels.

    Args:
        model: as it was when this returns; no other thread may use it meanwhile.
        inputs: example inputs, batch first.

    Raises:
        WorkloadError: the model has no layer that could be compressed.
        CompressionError: its channel dependencies cannot be traced.
    """
    layers = list_layers(model, inputs)
    if not layers:
        kinds = ", ".join(layer.__name__ for layer in QUANTIZABLE_LAYERS)
        raise WorkloadError(f"the model runs no layer that can be compressed; looked for {kinds}")
    runs = tuple(run for run in block_runs(model, inputs) if run.container)  # a policy cannot name the model
    return LayerInventory(layers, _groups(model, inputs, layers), runs)


def list_layers(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[LayerInfo, ...]:
    """The layers with weights that run, by their first call; MACs are for one example, all calls together."""
    macs: dict[str, list[int]] = {}
    modules: dict[str, nn.Module] = {}
    for call in trace(model, inputs, lambda module: isinstance(module, QUANTIZABLE_LAYERS)):
        macs.setdefault(call.name, []).append(call.macs)
        modules[call.name] = call.module
    return tuple(_describe(name, module, macs[name]) for name, module in modules.items())


def multi_head_layers(groups: tuple[HeadGroup, ...]) -> frozenset[str]:
    """The layers whose outputs are heads, several of them: never to be pruned channel by channel."""
    return frozenset(name for group in groups if group.units > 1 for name in group.layers)


def _groups(
    model: nn.Module, inputs: tuple[Tensor, ...], layers: tuple[LayerInfo, ...]
) -> tuple[PruneGroup, ...]:
    order = {layer.name: index for index, layer in enumerate(layers)}
    heads = [group for group in head_groups(model, inputs) if order.keys() >= set(group.layers)]
    several = multi_head_layers(tuple(heads))
    groups = [group.plain for group in heads if group.units > 1]
    if any(layer.op in {"linear", "conv", "depthwise-conv", "grouped-conv"} for layer in layers):
        groups += channel_groups(model, inputs, exclude=several)
    return tuple(sorted(groups, key=lambda group: order[group.leader]))


def _describe(name: str, module: nn.Module, macs: list[int]) -> LayerInfo:
    """A layer from the MACs of each of its calls."""
    is_recurrent = isinstance(module, nn.LSTM | nn.GRU)
    weight: Any = module.weight_ih_l0 if is_recurrent else module.weight
    parameters = sum(parameter.numel() for parameter in module.parameters(recurse=False))
    return LayerInfo(name, _op(module), tuple(weight.shape), sum(macs), parameters, len(macs))


def _op(module: Any) -> str:
    for kind, op in _OPS:
        if isinstance(module, kind):
            return op
    if module.groups == 1:
        return "conv"
    return "depthwise-conv" if module.groups == module.out_channels else "grouped-conv"
