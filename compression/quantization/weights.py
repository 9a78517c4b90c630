"""Weights stored as integers or halves, and the nodes that bring them back to float for a float kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from compression.quantization.editing import Editor, attribute
from compression.quantization.numerics import QuantizedRows, quantize_rows

if TYPE_CHECKING:
    from compression.quantization.numerics import Array
    from spaces import WeightFormat

HALF_BITS = 16


def weight_inputs(node: Any) -> tuple[int, ...]:
    """Where a node takes its weights: of its inputs, by position."""
    if node.op_type == "Gather":
        return (0,)
    return (1, 2) if node.op_type in {"LSTM", "GRU"} else (1,)


def to_rows(node: Any, weight: Array) -> Array:
    """A weight as float32 ``rows x columns`` with output channels first, whatever its operator's layout."""
    if node.op_type in {"LSTM", "GRU"}:  # directions x gates x inputs
        return weight.reshape(-1, weight.shape[-1])
    if is_transposed(node):
        weight = weight.T
    return np.ascontiguousarray(weight.reshape(weight.shape[0], -1))


def store_operand(
    editor: Editor, node: Any, position: int, form: WeightFormat, known: dict[str, str]
) -> None:
    """Stores a float operator's weight in a format and feeds the operator with what is dequantized.

    A transposed weight is stored with output channels first, behind a Reshape and a Transpose. For
    DequantizeLinear straight before MatMul, or with a Transpose between, which it moves into the constant,
    ONNX Runtime (DQMatMulToMatMulNBits, seen in 1.32) puts a kernel that rounds the *activations* to 8 bits
    as well, which nobody asked for.

    Args:
        editor: of the graph.
        node: an operator of `weight_inputs`; not Gather, whose table is looked up before it is dequantized.
        position: of the weight in the node's inputs.
        form: of 2 to 8 or 16 bits.
        known: dequantized values by initializer, shared by the calls of a layer.
    """
    source = node.input[position]
    if source not in known:
        weight = editor.array(source)
        flipped = is_transposed(node)
        target = weight.T if flipped else weight
        rows = to_rows(node, weight)
        nodes, value = _dequantized(editor, source, rows, target.shape, form, behind_reshape=flipped)
        if flipped:
            order = helper.make_node("Transpose", [value], [f"{source}:columns"], perm=[1, 0])
            nodes, value = [*nodes, order], order.output[0]
        for made in nodes:
            made.name = f"{made.output[0]}:{made.op_type}"
        editor.before(node, nodes)
        known[source] = value
    node.input[position] = known[source]


def store_folded(editor: Editor, source: str, form: WeightFormat) -> None:
    """Stores a table whose look-up was folded into a constant (fixed positions) in a format."""
    table = editor.array(source)
    readers = [node for node in editor.nodes if source in node.input]
    nodes, value = _dequantized(editor, source, table.reshape(-1, table.shape[-1]), table.shape, form)
    for made in nodes:
        made.name = f"{source}:{made.op_type}"
    editor.before(readers[0], nodes)
    for reader in readers:
        for index, name in enumerate(reader.input):
            reader.input[index] = value if name == source else name


def store_table(editor: Editor, node: Any, form: WeightFormat) -> None:
    """Stores an embedding's table in a format: rows are looked up as integers, then dequantized.

    Args:
        editor: of the graph.
        node: the Gather.
        form: of 2 to 8 bits by tensor or channel (row), or 16.
    """
    source, output = node.input[0], node.output[0]
    table = editor.array(source)
    stem = output.replace("@", "")  # only the look-up itself is the layer's node
    looked = f"{output}:stored"
    node.output[0] = looked
    if form.bits == HALF_BITS:
        node.input[0] = editor.store(f"{source}:half", table.astype(np.float16))
        after = [helper.make_node("Cast", [looked], [output], to=TensorProto.FLOAT)]
    else:
        rows = quantize_rows(table, form)
        node.input[0] = editor.store(f"{source}:quantized", rows.integers)
        if rows.scale.ndim == 0:
            names = _store_parameters(editor, source, rows)
            after = [helper.make_node("DequantizeLinear", [looked, *names], [output])]
        else:
            after = _rows_back(editor, source, node.input[1], rows, stem, node.output[0], output)
    for index, made in enumerate(after):
        made.name = f"{stem}:dequantize.{index}"
    editor.replace(node, [node, *after])


def _rows_back(
    editor: Editor, source: str, indices: str, rows: QuantizedRows, stem: str, looked: str, output: str
) -> list[Any]:
    """Each looked-up row by its own scale, which is looked up beside it."""
    scale = editor.store(f"{source}:scale", rows.scale[:, None])
    names = [f"{stem}:{part}" for part in ("cast", "scale", "zero", "centred")]
    nodes = [
        helper.make_node("Cast", [looked], [names[0]], to=TensorProto.FLOAT),
        helper.make_node("Gather", [scale, indices], [names[1]]),
    ]
    value = names[0]
    if rows.zero_point.any():
        zero = editor.store(f"{source}:zero", rows.zero_point[:, None].astype(np.float32))
        nodes.append(helper.make_node("Gather", [zero, indices], [names[2]]))
        nodes.append(helper.make_node("Sub", [value, names[2]], [names[3]]))
        value = names[3]
    return [*nodes, helper.make_node("Mul", [value, names[1]], [output])]


def _dequantized(
    editor: Editor,
    source: str,
    rows: Array,
    shape: tuple[int, ...],
    form: WeightFormat,
    *,
    behind_reshape: bool = False,
) -> tuple[list[Any], str]:
    """Nodes that make a float tensor of a shape from stored rows, and the value that they make."""
    if form.bits == HALF_BITS:
        half = editor.store(f"{source}:half", rows.reshape(shape).astype(np.float16))
        cast = helper.make_node("Cast", [half], [f"{source}:float"], to=TensorProto.FLOAT)
        return [cast], cast.output[0]
    quantized = quantize_rows(rows, form)
    size = quantized.group_size
    if size is not None:
        return _grouped(editor, source, quantized, shape, size)
    stays = quantized.scale.ndim == 0 or len(quantized.scale) == shape[0]
    stored = quantized.integers.reshape(shape) if stays else quantized.integers
    stored = stored[..., None] if behind_reshape else stored
    return _finish(editor, source, quantized, stored, shape)


def _grouped(
    editor: Editor, source: str, quantized: QuantizedRows, shape: tuple[int, ...], size: int
) -> tuple[list[Any], str]:
    """Each group is a row of its own; operator set 17 has no DequantizeLinear by blocks."""
    count, columns = quantized.integers.shape
    missing = -columns % size
    padded = np.pad(quantized.integers, ((0, 0), (0, missing))).reshape(-1, size)
    flat = QuantizedRows(padded, quantized.scale.reshape(-1), quantized.zero_point.reshape(-1))
    if not missing:
        return _finish(editor, source, flat, padded, shape)
    nodes, value = _finish(editor, source, flat, padded, (count, columns + missing))
    bounds = [
        editor.store(f"{source}:{part}", np.array([number], np.int64))
        for part, number in (("start", 0), ("end", columns), ("axis", 1))
    ]
    cut = helper.make_node("Slice", [value, *bounds], [f"{source}:cut"])
    target = editor.store(f"{source}:whole", np.array(shape, np.int64))
    reshape = helper.make_node("Reshape", [cut.output[0], target], [f"{source}:uncut"])
    return [*nodes, cut, reshape], reshape.output[0]


def _finish(
    editor: Editor, source: str, quantized: QuantizedRows, stored: Array, shape: tuple[int, ...]
) -> tuple[list[Any], str]:
    integers = editor.store(f"{source}:quantized", np.ascontiguousarray(stored))
    names = _store_parameters(editor, source, quantized)
    back = helper.make_node("DequantizeLinear", [integers, *names], [f"{source}:dequantized"], axis=0)
    if stored.shape == shape:
        return [back], back.output[0]
    target = editor.store(f"{source}:shape", np.array(shape, np.int64))
    reshape = helper.make_node("Reshape", [back.output[0], target], [f"{source}:reshaped"])
    return [back, reshape], reshape.output[0]


def _store_parameters(editor: Editor, source: str, quantized: QuantizedRows) -> list[str]:
    return [
        editor.store(f"{source}:scale", quantized.scale),
        editor.store(f"{source}:zero", quantized.zero_point),
    ]


def is_transposed(node: Any) -> bool:
    """Inputs come first in the weight of a MatMul, or of a Gemm that does not transpose it."""
    return node.op_type == "MatMul" or (node.op_type == "Gemm" and not attribute(node, "transB", 0))
