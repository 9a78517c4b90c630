"""Reads a quantized ONNX file: bits, granularity and symmetry of each layer, without the converters' help."""

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from compression.graph import LAYER_OPS, layer_of

BITS = {TensorProto.INT8: 8, TensorProto.UINT8: 8, TensorProto.INT4: 4, TensorProto.UINT4: 4}
SAME = {"Reshape", "Transpose", "Cast"}


def read_layers(path):
    """``{layer: (weight bits, granularity, symmetric, activation bits)}``; 32 bits where nothing is rounded."""
    graph = onnx.load(path).graph
    makers = {value: node for node in graph.node for value in node.output}
    stored = {item.name: item for item in graph.initializer}
    found = {}
    for node in graph.node:
        layer = layer_of(node.name)
        if layer is not None and node.op_type == "MatMulNBits":
            size = {item.name: item.i for item in node.attribute}
            found[layer] = (
                size["bits"],
                f"group {size['block_size']}",
                len(node.input) < 4 or not node.input[3],
                32,
            )
        elif layer is not None and node.op_type in LAYER_OPS:
            found[layer] = (
                *_weight(node.input[1], makers, stored),
                _activation(node.input[0], makers, stored),
            )
    return found


def _dequantizer(value, makers):
    node = makers.get(value)
    while node is not None and node.op_type in SAME:
        node = makers.get(node.input[0])
    return node if node is not None and node.op_type == "DequantizeLinear" else None


def _weight(value, makers, stored):
    node = _dequantizer(value, makers)
    if node is None:
        return 32, None, None
    bits, zero = BITS.get(_type(node.input[0], makers, stored)), True
    if len(node.input) > 2 and node.input[2] in stored:
        zero = not np.any(numpy_helper.to_array(stored[node.input[2]]).astype(np.int32))
    scale = numpy_helper.to_array(stored[node.input[1]])
    block = next((item.i for item in node.attribute if item.name == "block_size"), 0)
    granularity = f"group {block}" if block else ("channel" if scale.size > 1 else "tensor")
    return bits, granularity, zero


def _activation(value, makers, stored):
    node = _dequantizer(value, makers)
    return 32 if node is None else BITS[_type(node.input[2], makers, stored)]


def _type(value, makers, stored):
    if value in stored:
        return stored[value].data_type
    source = makers[value]
    return stored[source.input[2]].data_type
