"""What ONNX Runtime's integer kernels allocate besides their results while they run.

Found in the memory of sessions of one operator each (ONNX Runtime 1.32, x86 with AVX2 or better), and
explained by the sources of its kernels (``qlinearconv.cc``, ``quant_gemm.cc``, ``conv_integer.cc``). Floats
take nothing of note. Knows no liveness; `evaluators.memory` adds it to what is alive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping

Shape = tuple[int, ...]

INT32_BYTES: Final = 4
POINTER_BYTES: Final = 8
QUAD: Final = 4
"""Input channels that the direct convolution takes at once; of other counts it cannot be."""

_CONVOLUTIONS: Final = {"QLinearConv": (3, 5), "ConvInteger": (1, 3)}
"""Which inputs are the weights and their zero points."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operator of the graph that runs.

    Attributes:
        proto: of ONNX.
        shapes: of its inputs and outputs by name, weights included.
        stored: the graph's initializers by name.
    """

    proto: Any
    shapes: Mapping[str, Shape]
    stored: Mapping[str, Any]

    def attribute(self, name: str, default: Any) -> Any:
        """The value of an attribute."""
        found = (item for item in self.proto.attribute if item.name == name)
        return next((helper.get_attribute_value(item) for item in found), default)

    def shape(self, position: int) -> Shape:
        """Of an input."""
        return self.shapes[self.proto.input[position]]

    @property
    def result(self) -> Shape:
        """Of the first output."""
        return self.shapes[self.proto.output[0]]


def scratch_bytes(node: Node) -> int:
    """Bytes that a kernel has allocated at once besides its inputs and outputs; 0 of kernels of floats."""
    kind = node.proto.op_type
    if kind in _CONVOLUTIONS:
        return _convolution(node)
    if kind in {"QLinearMatMul", "QGemm"}:
        outputs = [name for name in node.proto.input[7:9] if name]  # QGemm has no sums where it gives floats
        return INT32_BYTES * math.prod(node.result) if kind == "QLinearMatMul" or outputs else 0
    if kind == "DynamicQuantizeMatMul":
        return math.prod(node.shape(0))  # the input in 8 bits
    return 0


def _convolution(node: Node) -> int:
    """Of one image at a time, but for the pointers of the direct convolution, which are for the batch."""
    weight, group = node.shape(_CONVOLUTIONS[node.proto.op_type][0]), node.attribute("group", 1)
    kernel, is_last = math.prod(weight[2:]), bool(node.attribute("channels_last", 0))
    images, result, given = node.result[0], math.prod(node.result[1:]), math.prod(node.shape(0)[1:])
    pixels = result // weight[0]
    is_depthwise = weight[1] == 1 and group == weight[0]
    is_direct = _is_symmetric(node) and (is_depthwise or (group == 1 and weight[1] % QUAD == 0))
    is_plain = kernel == 1 and _is_in_place(node)
    taken = 0 if is_last or node.proto.op_type == "ConvInteger" else given + result  # turned around, and back
    if node.proto.op_type == "QLinearConv" and not is_direct:
        taken += INT32_BYTES * result
    if is_depthwise or (is_direct and not is_plain):
        return taken + POINTER_BYTES * kernel * pixels * (images if is_last else 1)
    return taken if is_plain else taken + weight[1] * kernel * pixels


def _is_symmetric(node: Node) -> bool:
    """Signed weights without a zero point."""
    weight, zero = (node.proto.input[position] for position in _CONVOLUTIONS[node.proto.op_type])
    if node.proto.op_type != "QLinearConv" or weight not in node.stored or zero not in node.stored:
        return False
    array = numpy_helper.to_array(node.stored[zero])
    return bool(array.dtype == np.int8 and not array.any())


def _is_in_place(node: Node) -> bool:
    """Every input pixel makes one output pixel."""
    strides, pads = node.attribute("strides", [1]), node.attribute("pads", [0])
    return all(step == 1 for step in strides) and not any(pads)
