"""Integer kernels whose activations' ranges are found at run time (ONNX DynamicQuantizeLinear, uint8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from compression.quantization.numerics import quantize_rows
from compression.quantization.weights import to_rows

if TYPE_CHECKING:
    from compression.quantization.editing import Editor
    from compression.quantization.numerics import Array
    from spaces import WeightFormat


class Dynamic:
    """Puts dynamic integer operators in the place of float ones; layers of one input share its rounding.

    `onnxruntime.quantization.quantize_dynamic` is not used: it takes one granularity and 8 bits for a whole
    file, and rewrites every Gemm of it, those of float layers too.

    Args:
        editor: of the graph.
        reduce_range: see `numerics.weight_limits`.
    """

    def __init__(self, editor: Editor, *, reduce_range: bool) -> None:
        self._editor, self._reduce_range = editor, reduce_range
        self._rounded: dict[str, list[str]] = {}
        self._weights: dict[str, list[str]] = {}

    def use(self, node: Any, form: WeightFormat) -> None:
        """Replaces a Conv, Gemm, MatMul or LSTM with a stored weight; its name and output stay."""
        if node.op_type == "LSTM":
            self._use_lstm(node, form)
        else:
            self._use_product(node, form)

    def round_input(self, node: Any) -> list[str]:
        """The rounded input of a node with its scale and zero point, by name; made before the node once."""
        value = node.input[0]
        if value not in self._rounded:
            names = [f"{value}:rounded", f"{value}:step", f"{value}:zero"]
            made = helper.make_node("DynamicQuantizeLinear", [value], names, name=f"{value}:range")
            self._editor.before(node, [made])
            self._rounded[value] = names
        return self._rounded[value]

    def _use_product(self, node: Any, form: WeightFormat) -> None:
        rounded, step, zero = self.round_input(node)
        weight, scale, weight_zero = self._stored(node, form)
        is_conv = node.op_type == "Conv"
        label, output = node.name, node.output[0]
        bias = node.input[2] if len(node.input) > 2 else ""  # noqa: PLR2004
        sums, real, both = f"{label}:sums", f"{label}:real", f"{label}:steps"
        product = f"{label}:product" if bias else output
        op, kept = ("ConvInteger", node.attribute) if is_conv else ("MatMulInteger", [])
        inner = helper.make_node(op, [rounded, weight, zero, weight_zero], [sums], name=label)
        inner.attribute.extend(kept)
        nodes = [
            inner,
            helper.make_node("Cast", [sums], [real], name=f"{label}:cast", to=TensorProto.FLOAT),
            helper.make_node("Mul", [step, scale], [both], name=f"{label}:scales"),
            helper.make_node("Mul", [real, both], [product], name=f"{label}:scale"),
        ]
        if bias:
            if is_conv:
                rank = self._editor.array(node.input[1]).ndim
                array = self._editor.array(bias).reshape(-1, *[1] * (rank - 2))
                bias = self._editor.store(f"{bias}:column", array)
            nodes.append(helper.make_node("Add", [product, bias], [output], name=f"{label}:bias"))
        self._editor.replace(node, nodes)

    def _stored(self, node: Any, form: WeightFormat) -> list[str]:
        """Integers, scales and zero point of a weight.

        ConvInteger has a fast kernel for unsigned weights alone (0.08 ms against 0.46 ms with 64 channels at
        16 x 16), so its integers are stored around 128.
        """
        source = node.input[1]
        if source not in self._weights:
            weight = self._editor.array(source)
            rows = quantize_rows(to_rows(node, weight), form, reduce_range=self._reduce_range)
            integers: Array = np.ascontiguousarray(rows.integers.T)
            scale, zero = rows.scale, np.asarray(0, np.int8)
            if node.op_type == "Conv":
                integers = (rows.integers.astype(np.int16) + 128).astype(np.uint8).reshape(weight.shape)
                scale = scale.reshape(-1, *[1] * (weight.ndim - 2)) if scale.ndim else scale
                zero = np.asarray(128, np.uint8)
            self._weights[source] = [
                self._editor.store(f"{source}:quantized", integers),
                self._editor.store(f"{source}:scale", scale),
                self._editor.store(f"{source}:zero", zero),
            ]
        return self._weights[source]

    def _use_lstm(self, node: Any, form: WeightFormat) -> None:
        """DynamicQuantizeLSTM: inputs and recurrent state are rounded at each step."""
        inputs = [*node.input, *[""] * (8 - len(node.input))]
        parameters = []
        for position in (1, 2):
            source = node.input[position]
            weight = self._editor.array(source)
            directions, gates, columns = weight.shape
            rows = quantize_rows(to_rows(node, weight), form, reduce_range=self._reduce_range)
            integers = rows.integers.reshape(directions, gates, columns).transpose(0, 2, 1)
            inputs[position] = self._editor.store(f"{source}:quantized", np.ascontiguousarray(integers))
            shape = (directions, gates) if rows.scale.ndim else (directions,)
            scale = rows.scale.reshape(shape) if rows.scale.ndim else np.full(shape, rows.scale)
            parameters.append(self._editor.store(f"{source}:scale", scale))
            parameters.append(self._editor.store(f"{source}:zero", np.zeros(shape, np.int8)))
        made = helper.make_node(
            "DynamicQuantizeLSTM", [*inputs, *parameters], node.output, name=node.name, domain="com.microsoft"
        )
        made.attribute.extend(item for item in node.attribute if item.name != "layout")
        self._editor.replace(node, [made])
