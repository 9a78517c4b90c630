"""Makes the inventory of a model: its weight layers as they execute, and the channel groups among them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from compression.channels import channel_groups
from compression.tracing import WEIGHT_LAYERS, trace
from spaces import LayerInfo, LayerInventory, WorkloadError


def take_inventory(model: nn.Module, inputs: tuple[Tensor, ...]) -> LayerInventory:
    """The inventory of a model.

    Args:
        model: not changed.
        inputs: example inputs, batch first.

    Raises:
        WorkloadError: the model has no layer that could be compressed.
        CompressionError: its channel dependencies cannot be traced.
    """
    layers = list_layers(model, inputs)
    if not layers:
        kinds = ", ".join(layer.__name__ for layer in WEIGHT_LAYERS)
        raise WorkloadError(f"the model runs no layer that can be compressed; looked for {kinds}")
    return LayerInventory(layers, channel_groups(model, inputs))


def list_layers(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[LayerInfo, ...]:
    """The weight layers that run, by their first call; MACs are for one example, all calls together."""
    macs: dict[str, int] = {}
    modules: dict[str, nn.Module] = {}
    for call in trace(model, inputs):
        macs[call.name] = macs.get(call.name, 0) + call.macs
        modules[call.name] = call.module
    return tuple(_describe(name, module, macs[name]) for name, module in modules.items())


def _describe(name: str, module: nn.Module, macs: int) -> LayerInfo:
    weight: Any = module.weight
    parameters = sum(parameter.numel() for parameter in module.parameters(recurse=False))
    return LayerInfo(name, _op(module), tuple(weight.shape), macs, parameters)


def _op(module: nn.Module) -> str:
    if isinstance(module, nn.Linear):
        return "linear"
    groups, outputs = module.groups, module.out_channels
    if groups == 1:
        return "conv"
    return "depthwise-conv" if groups == outputs else "grouped-conv"
