"""Weights of layers rounded in memory: what a bit-width does to a model, without an artifact."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final

import torch

from compression.quantization.numerics import quantize_rows
from compression.tracing import QUANTIZABLE_LAYERS
from spaces import WeightFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

MOST_BITS: Final = 8
"""Weights of more bits are taken as they are."""


def round_layers(model: nn.Module, bits: Mapping[str, int]) -> nn.Module:
    """A copy whose layers' weights are rounded, by output channel; layers that are gone are passed over.

    Args:
        model: not changed.
        bits: by layer; more than 8 leave it as it is.
    """
    rounded = copy.deepcopy(model)
    present = {name for name, module in rounded.named_modules() if isinstance(module, QUANTIZABLE_LAYERS)}
    for name in bits.keys() & present:
        for weight in matrices(rounded.get_submodule(name)):
            weight.data.copy_(round_weight(weight.data, bits[name]))
    return rounded


def matrices(module: nn.Module) -> list[Tensor]:
    """The weights of a layer, biases left out."""
    return [
        parameter for name, parameter in module.named_parameters(recurse=False) if name.startswith("weight")
    ]


def round_weight(weight: Tensor, bits: int) -> Tensor:
    """A weight on the grid of its output channels; itself where the bits are more than `MOST_BITS`."""
    if bits > MOST_BITS:
        return weight
    rows = weight.detach().reshape(weight.shape[0], -1).numpy()
    values = quantize_rows(rows, WeightFormat(bits)).dequantize()
    return torch.from_numpy(values).reshape(weight.shape)
