"""Rounded inputs for float kernels: the numbers of formats that no integer kernel executes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper

from compression.quantization.numerics import activation_parameters
from spaces import MOST_INTEGER_BITS, ActivationFormat

if TYPE_CHECKING:
    from compression.quantization.calibration import Range
    from compression.quantization.dynamic import Dynamic
    from compression.quantization.editing import Editor


class Inputs:
    """Rounds the inputs of float operators; operators of one tensor and format share the rounding.

    Args:
        editor: of the graph.
        dynamic: rounds to 8 bits at run time.
    """

    def __init__(self, editor: Editor, dynamic: Dynamic) -> None:
        self._editor, self._dynamic = editor, dynamic
        self._known: dict[tuple[str, ActivationFormat, Range | None], str] = {}

    def round(self, node: Any, form: ActivationFormat, ends: Range | None) -> None:
        """Feeds a node with its first input as a format has it.

        Static inputs of fewer than 8 bits are clipped to their range, then rounded to as many of the 256
        codes of uint8 as the bits allow. Dynamic ones of fewer bits are rounded in float. 16 bits go through
        float16.

        Args:
            node: whose first input is float32.
            form: of 2 to 8 or 16 bits.
            ends: of the calibration, for static formats.
        """
        source = node.input[0]
        key = source, form, ends
        if key not in self._known:
            stem = f"{source}:{form.bits}-{form.mode}-{len(self._known)}"
            if form.bits > MOST_INTEGER_BITS:
                nodes = _through_half(source, stem)
            elif ends is not None:
                nodes = self._static(source, stem, form.bits, ends)
            elif form.bits == MOST_INTEGER_BITS:
                rounded = self._dynamic.round_input(node)
                nodes = [helper.make_node("DequantizeLinear", rounded, [stem])]
            else:
                nodes = self._by_range(source, stem, form.bits)
            for index, made in enumerate(nodes):
                made.name = f"{stem}.{index}"
            self._editor.before(node, nodes)
            self._known[key] = nodes[-1].output[0]
        node.input[0] = self._known[key]

    def _static(self, source: str, stem: str, bits: int, ends: Range) -> list[Any]:
        scale, zero = activation_parameters(*ends, bits)
        names = [
            self._editor.store(f"{stem}:scale", np.asarray(scale)),
            self._editor.store(f"{stem}:zero", np.asarray(zero, np.uint8)),
        ]
        nodes, value = [], source
        if bits < MOST_INTEGER_BITS:
            codes = np.array([0, 2**bits - 1])
            limits = ((codes - zero) * np.float64(scale)).astype(np.float32)
            bounds = [
                self._editor.store(f"{stem}:{part}", np.asarray(limit))
                for part, limit in zip(("low", "high"), limits, strict=True)
            ]
            nodes.append(helper.make_node("Clip", [value, *bounds], [f"{stem}:clipped"]))
            value = f"{stem}:clipped"
        return [
            *nodes,
            helper.make_node("QuantizeLinear", [value, *names], [f"{stem}:codes"]),
            helper.make_node("DequantizeLinear", [f"{stem}:codes", *names], [stem]),
        ]

    def _by_range(self, source: str, stem: str, bits: int) -> list[Any]:
        """DynamicQuantizeLinear's definition (ONNX operator set 11), with fewer codes."""
        constants = {
            "none": 0.0,
            "most": 2.0**bits - 1,
            "least": float(np.finfo(np.float32).tiny),
        }
        stored = {
            part: self._editor.store(f"{stem}:{part}", np.asarray(value, np.float32))
            for part, value in constants.items()
        }
        steps = [
            ("ReduceMin", ("x",), "min"), ("Min", ("min", "none"), "low"),
            ("ReduceMax", ("x",), "max"), ("Max", ("max", "none"), "high"),
            ("Sub", ("high", "low"), "wide"), ("Div", ("wide", "most"), "even"),
            ("Max", ("even", "least"), "step"),
            ("Div", ("low", "step"), "start"), ("Round", ("start",), "whole"), ("Neg", ("whole",), "zero"),
            ("Div", ("x", "step"), "scaled"), ("Round", ("scaled",), "rounded"),
            ("Add", ("rounded", "zero"), "shifted"), ("Clip", ("shifted", "none", "most"), "codes"),
            ("Sub", ("codes", "zero"), "centred"), ("Mul", ("centred", "step"), "y"),
        ]  # fmt: skip
        names = {made: f"{stem}:{made}" for _, _, made in steps} | stored | {"x": source, "y": stem}
        nodes = []
        for op, inputs, made in steps:
            facts = {"keepdims": 0} if op.startswith("Reduce") else {}
            nodes.append(helper.make_node(op, [names[value] for value in inputs], [names[made]], **facts))
        return nodes


def _through_half(source: str, stem: str) -> list[Any]:
    return [
        helper.make_node("Cast", [source], [f"{stem}:half"], to=TensorProto.FLOAT16),
        helper.make_node("Cast", [f"{stem}:half"], [stem], to=TensorProto.FLOAT),
    ]
