"""Operators that sum over many elements: layers, pools, norms and reductions (ONNX operators, opset 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from compression.qat.operators.signature import Attributes, Inputs, Operator, optional, whole_numbers
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def _conv(inputs: Inputs, attributes: Attributes) -> Tensor:
    data, weight = inputs[:2]
    rank = weight.dim() - 2
    strides = attributes.get("strides", [1] * rank)
    dilations = attributes.get("dilations", [1] * rank)
    kernel = [dilation * (size - 1) + 1 for size, dilation in zip(weight.shape[2:], dilations, strict=True)]
    data, padding = _padded(data, attributes, kernel, strides, 0.0)
    convolve = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    groups = attributes.get("group", 1)
    convolved: Tensor = convolve(data, weight, optional(inputs, 2), strides, padding, dilations, groups)
    return convolved


def _conv_transpose(inputs: Inputs, attributes: Attributes) -> Tensor:
    rank = inputs[1].dim() - 2
    before, after = _sides(attributes, rank)
    if before != after or "output_shape" in attributes:
        raise CompressionError("ConvTranspose with uneven padding or a given shape cannot be trained")
    convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    convolved: Tensor = convolve(
        inputs[0],
        inputs[1],
        optional(inputs, 2),
        attributes.get("strides", [1] * rank),
        before,
        attributes.get("output_padding", [0] * rank),
        attributes.get("group", 1),
        attributes.get("dilations", [1] * rank),
    )
    return convolved


def _gemm(inputs: Inputs, attributes: Attributes) -> Tensor:
    left, right = inputs[:2]
    left = left.t() if attributes.get("transA") else left
    right = right.t() if attributes.get("transB") else right
    product: Tensor = left @ right
    if (alpha := attributes.get("alpha", 1.0)) != 1:
        product = alpha * product
    bias = optional(inputs, 2)
    return product if bias is None else product + attributes.get("beta", 1.0) * bias


def _max_pool(inputs: Inputs, attributes: Attributes) -> Tensor:
    data, kernel, strides, dilations = _window(inputs, attributes)
    reach = [dilation * (size - 1) + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    data, padding = _padded(data, attributes, reach, strides, -torch.inf)
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[len(kernel) - 1]
    ceil_mode = bool(attributes.get("ceil_mode", 0))
    pooled: Tensor = pool(data, kernel, strides, padding, dilations, ceil_mode)
    return pooled


def _average_pool(inputs: Inputs, attributes: Attributes) -> Tensor:
    data, kernel, strides, _ = _window(inputs, attributes)
    before, after = _sides(attributes, len(kernel))
    counts_padding = bool(attributes.get("count_include_pad", 0))
    if before != after and not counts_padding:
        raise CompressionError("AveragePool with uneven padding that does not count cannot be trained")
    data, padding = _padded(data, attributes, kernel, strides, 0.0)
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(kernel) - 1]
    ceil_mode = bool(attributes.get("ceil_mode", 0))
    pooled: Tensor = pool(data, kernel, strides, padding, ceil_mode, counts_padding)
    return pooled


def _window(inputs: Inputs, attributes: Attributes) -> tuple[Any, list[int], list[int], list[int]]:
    kernel = list(attributes["kernel_shape"])
    strides = list(attributes.get("strides", [1] * len(kernel)))
    return inputs[0], kernel, strides, list(attributes.get("dilations", [1] * len(kernel)))


def _padded(
    data: Tensor, attributes: Attributes, reach: Sequence[int], strides: Sequence[int], value: float
) -> tuple[Tensor, list[int]]:
    """The data, padded where both sides differ, and the even padding that is left to the operator."""
    before, after = _sides(attributes, len(reach))
    mode = attributes.get("auto_pad", b"NOTSET")
    if mode in {b"SAME_UPPER", b"SAME_LOWER"}:
        sizes = data.shape[2:]
        totals = [
            max((-(-size // stride) - 1) * stride + width - size, 0)
            for size, stride, width in zip(sizes, strides, reach, strict=True)
        ]
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        before, after = (small, large) if mode == b"SAME_UPPER" else (large, small)
    if before == after and all(2 * side <= width for side, width in zip(before, reach, strict=True)):
        return data, before
    pads = [side for pair in zip(reversed(before), reversed(after), strict=True) for side in pair]
    return F.pad(data, pads, value=value), [0] * len(reach)


def _sides(attributes: Attributes, rank: int) -> tuple[list[int], list[int]]:
    pads = list(attributes.get("pads", [0] * 2 * rank))
    return pads[:rank], pads[rank:]


def _batch_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    data, scale, bias, mean, variance = inputs
    return F.batch_norm(data, mean, variance, scale, bias, eps=attributes.get("epsilon", 1e-5))


def _layer_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    data, scale = inputs[:2]
    shape = data.shape[attributes.get("axis", -1) :]
    bias = optional(inputs, 2)
    return F.layer_norm(data, shape, scale, bias, attributes.get("epsilon", 1e-5))


def _instance_norm(inputs: Inputs, attributes: Attributes) -> Tensor:
    data, scale, bias = inputs
    return F.instance_norm(data, weight=scale, bias=bias, eps=attributes.get("epsilon", 1e-5))


def _reduction(reduce: Callable[..., Any]) -> Operator:
    def operator(inputs: Inputs, attributes: Attributes) -> Tensor:
        given = optional(inputs, 1)  # axes are an input from opset 13 (sum) and 18 (the others) on
        axes = attributes.get("axes") if given is None else whole_numbers(given)
        if not axes:
            if attributes.get("noop_with_empty_axes"):
                unchanged: Tensor = inputs[0]
                return unchanged
            axes = list(range(inputs[0].dim()))
        reduced: Tensor = reduce(inputs[0], dim=tuple(axes), keepdim=bool(attributes.get("keepdims", 1)))
        return reduced

    return operator


def _overall(reduce: Callable[..., Any]) -> Operator:
    """A pool over all positions of ``n x channels x …``, which keeps the dimensions."""
    return lambda inputs, attributes: reduce(inputs[0], dim=tuple(range(2, inputs[0].dim())), keepdim=True)


LAYERS: Final[Mapping[str, Operator]] = {
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Einsum": lambda inputs, attributes: torch.einsum(attributes["equation"].decode(), *inputs),
    "Gemm": _gemm,
    "GlobalAveragePool": _overall(torch.mean),
    "GlobalMaxPool": _overall(torch.amax),
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "MatMul": lambda inputs, attributes: torch.matmul(inputs[0], inputs[1]),
    "MaxPool": _max_pool,
    "ReduceL2": _reduction(torch.linalg.vector_norm),
    "ReduceMax": _reduction(torch.amax),
    "ReduceMean": _reduction(torch.mean),
    "ReduceMin": _reduction(torch.amin),
    "ReduceSum": _reduction(torch.sum),
}
"""By ONNX operator type."""
