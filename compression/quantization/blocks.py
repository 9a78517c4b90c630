"""Linear layers with 4-bit weights: MatMulNBits, which keeps activations and sums in float."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import helper

from compression.quantization.numerics import QuantizedRows, quantize_rows
from compression.quantization.weights import to_rows

if TYPE_CHECKING:
    from compression.quantization.editing import Editor
    from compression.quantization.numerics import Array
    from spaces import WeightFormat

_LEAST, _MOST = 16, 128
_FLOAT_SUMS: Final = 1
"""``accuracy_level``: activations stay float32. Level 4 would round them to 8 bits."""


def use_blocks(editor: Editor, node: Any, form: WeightFormat) -> None:
    """Puts MatMulNBits, and an Add for the bias of a Gemm, in a linear layer's place.

    Args:
        editor: of the graph.
        node: MatMul or Gemm with a stored weight; its name and output stay.
        form: 4 bits. A scale that is shared by more inputs than a block has (tensor, channel, long groups)
            stands at each of its blocks.
    """
    rows = quantize_rows(to_rows(node, editor.array(node.input[1])), form)
    count, columns = rows.integers.shape
    block = _block_size(form, columns)
    blocks = -(-columns // block)
    source, bias = node.input[1], node.input[2] if len(node.input) > 2 else ""  # noqa: PLR2004
    inputs = [
        node.input[0],
        editor.store(f"{source}:blocks", _packed(_codes(rows, blocks * block).reshape(count, blocks, block))),
        editor.store(f"{source}:scale", _by_block(rows, rows.scale, block, blocks).reshape(-1)),
    ]
    if rows.zero_point.any():
        zeros = _by_block(rows, rows.zero_point, block, blocks).astype(np.int16) + 8
        inputs.append(editor.store(f"{source}:zero", _packed(zeros.astype(np.uint8))))
    output = node.output[0]
    product = f"{output}:product" if bias else output
    facts = {"K": columns, "N": count, "bits": 4, "block_size": block, "accuracy_level": _FLOAT_SUMS}
    nodes = [
        helper.make_node("MatMulNBits", inputs, [product], name=node.name, domain="com.microsoft", **facts)
    ]
    if bias:
        nodes.append(helper.make_node("Add", [product, bias], [output], name=f"{node.name}:bias"))
    editor.replace(node, nodes)


def _block_size(form: WeightFormat, columns: int) -> int:
    """The greatest block of the operator that no two scales share and that a layer this narrow can fill."""
    unit = form.group_size or _MOST
    block = _LEAST
    while block < min(_MOST, columns) and unit % (2 * block) == 0:
        block *= 2
    return block


def _codes(rows: QuantizedRows, columns: int) -> Array:
    """The integers as ``0 … 15``, around 8; the padding stands for zero."""
    missing = columns - rows.integers.shape[1]
    codes = np.pad(rows.integers.astype(np.int16), ((0, 0), (0, missing))) + 8
    return codes.astype(np.uint8)


def _by_block(rows: QuantizedRows, parameter: Array, block: int, blocks: int) -> Array:
    spread = np.broadcast_to(rows.spread(parameter), rows.integers.shape)
    found: Array = np.ascontiguousarray(spread[:, ::block])
    return found.reshape(len(rows.integers), blocks)


def _packed(codes: Array) -> Array:
    """Two codes a byte along the last axis, the first in the lower half; an odd end is filled with 8."""
    if codes.shape[-1] % 2:
        codes = np.concatenate([codes, np.full_like(codes[..., :1], 8)], axis=-1)
    packed: Array = codes[..., 0::2] | (codes[..., 1::2] << 4)
    return packed
