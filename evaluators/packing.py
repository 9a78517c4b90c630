"""What an artifact's weights need in bits, once they are stored as tightly as their formats allow.

The file on disk holds a 3-bit weight in a byte, and a zero like any other number; a device's own format need
not. Each tensor counts as the smallest of three codes: every number in its bits; a bitmap of what is not zero
with those numbers; or each number that is not zero with its distance from the one before (Han et al. 2016,
"Deep Compression", section 2). Scales, biases and whatever else is stored count as they are; nodes do not.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from compression import layer_of, layer_of_node, output_layers
from compression.quantization import LAYERS_KEY
from spaces import MOST_INTEGER_BITS

if TYPE_CHECKING:
    from pathlib import Path

    from evaluators.backends import Array

MOST_GAP_BITS: Final = 16
_CARRIERS: Final = frozenset({"DequantizeLinear", "Reshape", "Transpose", "Slice", "Cast"})
_BITS: Final[dict[int, int]] = {TensorProto.INT4: 4, TensorProto.UINT4: 4}
_BYTE_SIZED: Final = frozenset({TensorProto.INT8, TensorProto.UINT8})


def packed_size_bytes(path: Path) -> int:
    """Bytes that the numbers of an artifact need, rounded up.

    Args:
        path: of an artifact of `compression.deploy`; its metadata say how many bits a layer's weights have.
    """
    model = onnx.load(path)
    graph = model.graph
    bits = _declared_bits(model)
    zero_points = _zero_points(graph)
    total = 0
    for item in graph.initializer:
        array = numpy_helper.to_array(item)
        width = _BITS.get(item.data_type, 8 * array.dtype.itemsize)
        if item.data_type in _BYTE_SIZED:
            width = min(width, bits.get(item.name, width))
        total += packed_bits(_is_kept(array, zero_points.get(item.name)), width)
    return -(-total // 8)


def packed_bits(is_kept: Array, bits: int) -> int:
    """Bits of the smallest code of a tensor.

    Args:
        is_kept: booleans of any shape, true where a number is not zero.
        bits: of one number.
    """
    count, kept = is_kept.size, int(np.count_nonzero(is_kept))
    return min(count * bits, count + kept * bits, _gap_bits(is_kept, bits))


def _gap_bits(is_kept: Array, bits: int) -> int:
    """With the best width of a distance; a longer one takes entries of value zero in between."""
    positions = np.flatnonzero(is_kept)
    if not len(positions):
        return 0
    gaps = np.diff(positions, prepend=-1) - 1
    return min(
        (len(gaps) + int((gaps >> width).sum())) * (width + bits) for width in range(1, MOST_GAP_BITS + 1)
    )


def _declared_bits(model: Any) -> dict[str, int]:
    """Bits of the weights that a layer's operators read, by initializer."""
    declared = json.loads({item.key: item.value for item in model.metadata_props}.get(LAYERS_KEY, "{}"))
    stored = {item.name for item in model.graph.initializer}
    producers = {value: node for node in model.graph.node for value in node.output}
    outputs = output_layers(model.graph)
    found: dict[str, int] = {}
    for node in model.graph.node:
        layer = layer_of_node(node, outputs)
        if layer not in declared or declared[layer]["weight"] > MOST_INTEGER_BITS:
            continue
        for value in node.input:
            source = _stored_behind(value, stored, producers)
            if source is not None and not source.endswith((":zero", "zero_point")):
                found[source] = declared[layer]["weight"]
    for name in stored:  # tables whose look-up was folded are known by their name
        layer = layer_of(name)
        if layer in declared and declared[layer]["weight"] <= MOST_INTEGER_BITS and "quantized" in name:
            found[name] = declared[layer]["weight"]
    return found


def _stored_behind(value: str, stored: set[str], producers: dict[str, Any]) -> str | None:
    """The initializer that a value is unpacked from; ``None`` if it is computed."""
    while value not in stored:
        node = producers.get(value)
        if node is None or node.op_type not in _CARRIERS:
            return None
        value = node.input[0]
    return value


def _zero_points(graph: Any) -> dict[str, Array]:
    """The integers that stand for zero, by the initializer that is dequantized with them."""
    stored = {item.name: item for item in graph.initializer}
    return {
        node.input[0]: numpy_helper.to_array(stored[node.input[2]])
        for node in graph.node
        if node.op_type == "DequantizeLinear" and len(node.input) > 2 and node.input[2] in stored  # noqa: PLR2004
    }


def _is_kept(array: Array, zero_point: Array | None) -> Array:
    """Where a tensor is not zero; everywhere, where rows have zeros of their own."""
    zeros = np.zeros(1) if zero_point is None else np.unique(zero_point)
    kept: Array = array != zeros[0] if len(zeros) == 1 else np.ones(array.shape, dtype=bool)
    return kept
