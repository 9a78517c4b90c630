"""Operators that compute on integers, with gradients: integers are float32 values, rounding passes gradients.

Their weights stay as the file has them; only what lies before them learns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from compression.qat.operators.layers import LAYERS
from compression.qat.operators.signature import Attributes, Inputs, Operator, optional

if TYPE_CHECKING:
    from collections.abc import Mapping


def _dynamic_quantize(inputs: Inputs, attributes: Attributes) -> tuple[Tensor, Tensor, Tensor]:
    """Range and integers of the data at hand (ONNX ``DynamicQuantizeLinear``), straight-through."""
    data: Tensor = inputs[0]
    fixed = data.detach()
    low, high = fixed.amin().clamp(max=0), fixed.amax().clamp(min=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero = (-low / scale).round().clamp(0, 255)
    exact = data / scale + zero
    rounded = ((fixed / scale).round() + zero).clamp(0, 255)
    return exact + (rounded - exact).detach(), scale, zero


def _centred(values: Any, zero: Any, axis: int | None) -> Tensor:
    values = values.float()
    if zero is None:
        centred: Tensor = values
    elif zero.dim() == 0 or zero.numel() == 1 or axis is None:
        centred = values - zero.float()
    else:
        centred = values - zero.float().reshape([-1 if at == axis else 1 for at in range(values.dim())])
    return centred


def _dequantize(inputs: Inputs, attributes: Attributes) -> Tensor:
    """What no grid of the graph covers: ranges that were found at run time, and rows of integer tables."""
    values, scale = inputs[:2]
    axis = attributes.get("axis", 1) % max(values.dim(), 1) if scale.numel() > 1 else None
    if axis is not None:
        scale = scale.reshape([-1 if at == axis else 1 for at in range(values.dim())])
    real: Tensor = _centred(values, optional(inputs, 2), axis) * (
        scale if axis is not None else scale.reshape(())
    )
    return real


def _matmul_integer(inputs: Inputs, attributes: Attributes) -> Tensor:
    left, right = inputs[:2]
    right = _centred(right, optional(inputs, 3), right.dim() - 1)
    return torch.matmul(_centred(left, optional(inputs, 2), None), right)


def _conv_integer(inputs: Inputs, attributes: Attributes) -> Tensor | tuple[Tensor, ...]:
    data = _centred(inputs[0], optional(inputs, 2), None)
    return LAYERS["Conv"]((data, _centred(inputs[1], optional(inputs, 3), 0)), attributes)


def _matmul_blocks(inputs: Inputs, attributes: Attributes) -> Tensor:
    """``MatMulNBits`` of com.microsoft: weights ``n x blocks x bytes``, a scale and a zero point a block."""
    data, packed, scales = inputs[:3]
    bits, size = attributes.get("bits", 4), attributes["block_size"]
    rows, columns = attributes["N"], attributes["K"]
    levels = _unpacked(packed.reshape(rows, -1, packed.shape[-1]), bits)
    blocks = levels.shape[1]
    zeros = optional(inputs, 3)
    if zeros is None:
        offsets = torch.full((rows, blocks, 1), float(2 ** (bits - 1)), device=data.device)
    elif zeros.is_floating_point():
        offsets = zeros.reshape(rows, blocks, 1)
    else:
        offsets = _unpacked(zeros.reshape(rows, 1, -1), bits).reshape(rows, -1)[:, :blocks, None]
    weight = (levels[:, :, :size] - offsets) * scales.reshape(rows, blocks, 1)
    product: Tensor = data @ weight.reshape(rows, -1)[:, :columns].t()
    bias = optional(inputs, 5)
    return product if bias is None else product + bias


def _unpacked(packed: Tensor, bits: int) -> Tensor:
    """Integers of 2, 4 or 8 bits out of bytes, the lowest bits first, as floats along the last axis."""
    shifts = torch.arange(0, 8, bits, device=packed.device)
    levels = (packed.to(torch.int64)[..., None] >> shifts) & (2**bits - 1)
    unpacked: Tensor = levels.reshape(*packed.shape[:-1], -1).float()
    return unpacked


INTEGERS: Final[Mapping[str, Operator]] = {
    "ConvInteger": _conv_integer,
    "DequantizeLinear": _dequantize,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "MatMulInteger": _matmul_integer,
    "MatMulNBits": _matmul_blocks,
}
"""By operator type, of ONNX and of com.microsoft."""
