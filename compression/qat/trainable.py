"""Which stored tensors of a graph are parameters of the model, and which are constants of its arithmetic."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from compression.graph import WEIGHT_OPS, layer_of
from compression.qat.grid_reader import LAYOUT
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from compression.qat.grids import Grids, StoredGrid

Array = NDArray[Any]

_STORED_SUFFIX: Final = re.compile(r"(_quantized|:quantized)(\.\d+)?$")
"""What a float tensor's name gets when its integers are stored."""

_PRODUCTS: Final = WEIGHT_OPS | {"ConvInteger", "MatMulInteger", "MatMulNBits"}
"""Operators behind which a bias may be added."""

_SCALING: Final = frozenset({"Cast", "Mul", "QuantizeLinear"})
"""Operators between a product of integers and its bias."""

_OPERANDS: Final[Mapping[str, tuple[int, ...]]] = {
    "BatchNormalization": (1, 2),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "Gather": (0,),
    "Gemm": (1, 2),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "MatMul": (0, 1),
}
"""Inputs that hold parameters, by operator."""


def trainable(graph: Any, grids: Grids) -> frozenset[str]:
    """The initializers that training may change: weights, embedding tables, biases, and scales of norms.

    A bias that is added behind a layer's product counts. Other constants (positions, masks, the numbers in
    an activation function) stay, for nothing in a graph tells parameters from definitions among them. So do
    tensors that an operator takes as integers or halves.

    Args:
        graph: of an ONNX model.
        grids: of the same graph; a tensor that is stored in integers goes by the name of the integers.
    """
    sizes = {
        item.name: tuple(item.dims)
        for item in graph.initializer
        if np.dtype(numpy_helper.to_array(item).dtype).kind == "f"
    }
    for grid in grids.stored.values():
        item = next(entry for entry in graph.initializer if entry.name == grid.integers)
        sizes[grid.integers] = tuple(item.dims)
    behind = {value: grid.integers for value, grid in grids.stored.items()}
    names = {behind.get(value, value) for value in _parameter_values(graph, grids)}
    return frozenset(name for name in names if name in sizes and np.prod(sizes[name]) > 1)


def _parameter_values(graph: Any, grids: Grids) -> Iterator[str]:
    producers = {value: node for node in graph.node for value in node.output}
    products = {node.output[0] for node in graph.node if node.op_type in _PRODUCTS and layer_of(node.name)}
    for node in graph.node:
        for index in _OPERANDS.get(node.op_type, ()):
            if len(node.input) > index:
                yield _before(node.input[index], producers, LAYOUT)
        if node.op_type == "Add":
            for value, other in (node.input, reversed(node.input)):
                if _before(grids.aliases.get(other, other), producers, _SCALING) in products:
                    yield value


def _before(value: str, producers: Mapping[str, Any], operators: Container[str]) -> str:
    """The value that some operators in a row start from."""
    while value in producers and producers[value].op_type in operators:
        value = producers[value].input[0]
    return value


def before_rounding(grid: StoredGrid, model: Any, whole: Any | None) -> Array:
    """The float values that a tensor of integers was made from, float32, of the same shape.

    An int32 bias is what it stands for: it is exact enough, and may hold a correction.

    Args:
        grid: of the tensor.
        model: the quantized ONNX model.
        whole: the float one that it was made from; ``None`` takes what the integers stand for.

    Raises:
        CompressionError: the float model has no such tensor.
    """
    arrays = {item.name: item for item in model.graph.initializer}
    integers = numpy_helper.to_array(arrays[grid.integers])
    if whole is None or integers.dtype == np.int32:
        return _dequantized(integers, numpy_helper.to_array(arrays[grid.scale]), grid)
    floats = {item.name: item for item in whole.graph.initializer}
    operator, index = grid.reader
    candidates = [
        node.input[index] for node in whole.graph.node if node.name == operator and index < len(node.input)
    ]
    candidates.append(_STORED_SUFFIX.sub("", grid.integers))
    for name in candidates:
        laid_out = (
            _laid_out(numpy_helper.to_array(floats[name]), integers.shape, grid) if name in floats else None
        )
        if laid_out is not None:
            return laid_out
    raise CompressionError(
        f"layer {grid.layer!r}: {grid.integers!r} has no counterpart in the float model;"
        " train the quantized model with the file that it was made from"
    )


def _laid_out(weight: Array, shape: tuple[int, ...], grid: StoredGrid) -> Array | None:
    """A weight in the layout of its integers: turned over, as rows, or as groups with zeros behind."""
    rows = weight.T if grid.is_flipped else weight
    rows = rows.reshape(len(rows), -1) if rows.ndim else rows.reshape(1, 1)
    size, count = math.prod(shape), len(rows)
    if size % count or size < rows.size:
        return None
    padded = np.pad(rows, ((0, 0), (0, size // count - rows.shape[1])))
    return np.ascontiguousarray(padded.reshape(shape), np.float32)


def _dequantized(integers: Array, scale: Array, grid: StoredGrid) -> Array:
    entries = [-1 if at == (grid.axis or 0) % max(integers.ndim, 1) else 1 for at in range(integers.ndim)]
    shape = [] if grid.axis is None else entries
    exact = (integers.astype(np.float64) - grid.zero.reshape(shape)) * scale.reshape(shape)
    real: Array = exact.astype(np.float32)
    return real
