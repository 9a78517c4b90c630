"""Static int8 quantization of chosen layers in an ONNX file; the other layers stay float, at run time too."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from compression.export import input_names, one_line
from compression.graph import WEIGHT_OPS, layer_of
from spaces import CompressionError, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from torch import Tensor

    from compression.workload import Workload

CALIBRATION_EXAMPLES: Final = 128
CALIBRATION_BATCH: Final = 64

_GLUE: Final = frozenset({
    "Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Reshape",
    "Flatten", "Transpose", "Squeeze", "Unsqueeze", "ReduceMean",
})  # fmt: skip
"""Operators that ONNX Runtime can compute on int8 between two int8 layers."""


def quantize_int8(
    source: Path,
    path: Path,
    workload: Workload,
    layers: Collection[str],
    *,
    reduce_range: bool,
) -> None:
    """Quantizes layers to int8 weights (symmetric, by output channel) and uint8 activations (by tensor).

    Ranges of activations are the least and greatest values of the calibration split. Operators between int8
    layers are quantized with them; everything else computes in float. The file honours that under a
    runtime's default options (see `_guard_float_layers`).

    Args:
        source: a file of `export_float`.
        path: the file to write.
        workload: for the calibration split.
        layers: module paths of the layers to quantize; the rest stay float.
        reduce_range: 7-bit weights, for x86 CPUs without VNNI, whose 16-bit sums saturate with 8.

    Raises:
        CompressionError: a layer has no node in the graph, or the quantizer refuses the graph.
        WorkloadError: the calibration split is empty.
    """
    whole = onnx.load(source)
    graph = whole.graph
    by_layer: dict[str, list[str]] = {}
    for node in graph.node:
        layer = layer_of(node.name)
        if layer is not None and node.op_type in WEIGHT_OPS:
            by_layer.setdefault(layer, []).append(node.name)
    missing = sorted(set(layers) - set(by_layer))
    if missing:
        raise CompressionError(f"layers {', '.join(missing)} have no weight operator in the exported graph")
    chosen = {name for layer in layers for name in by_layer[layer]}
    _untie(graph, chosen)
    nodes = [*chosen, *_glue_between(graph, chosen)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _without_advice(whole, path, _Reader(workload), nodes=sorted(nodes), reduce_range=reduce_range)
    except WorkloadError:
        raise
    except Exception as error:
        raise CompressionError(f"ONNX Runtime cannot quantize the graph: {error}") from error
    model = onnx.load(path)
    _guard_float_layers(model.graph, chosen)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _without_advice(
    whole: Any, path: Path, reader: CalibrationDataReader, *, nodes: list[str], reduce_range: bool
) -> None:
    """`quantize_static` logs advice to pre-process the model, which `export_float` has done."""
    root = logging.getLogger()
    level, root.level = root.level, logging.ERROR
    try:
        quantize_static(
            whole,
            str(path),
            reader,
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=nodes,
            per_channel=True,
            reduce_range=reduce_range,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        root.level = level


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """The calibration split as feeds."""

    def __init__(self, workload: Workload) -> None:
        self._feeds: Iterator[dict[str, Any]] = _feeds(workload)

    def get_next(self) -> dict[str, Any] | None:
        return next(self._feeds, None)


def _feeds(workload: Workload) -> Iterator[dict[str, Any]]:
    empty = True
    for inputs in _calibration(workload):
        empty = False
        names = input_names(len(inputs))
        yield {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
    if empty:
        raise WorkloadError(
            f"workload {workload.name!r}: the calibration split is empty; int8 needs examples"
        )


def _calibration(workload: Workload) -> Iterator[tuple[Tensor, ...]]:
    try:
        for inputs, _ in workload.batches("calibration", CALIBRATION_BATCH, limit=CALIBRATION_EXAMPLES):
            yield inputs
    except Exception as error:  # the user's code may raise anything
        raise WorkloadError(f"workload {workload.name!r}: batches raised {one_line(error)}") from error


def _untie(graph: Any, quantized: set[str]) -> None:
    """Gives float layers that share a tensor with quantized ones a copy of it, in place.

    The quantizer replaces a tensor for all who read it, so the float layers would compute on rounded weights.
    """
    stored = {item.name: item for item in graph.initializer}
    taken = {value for node in graph.node if node.name in quantized for value in node.input}
    copies: dict[str, str] = {}
    for node in graph.node:
        if node.name in quantized:
            continue
        for index, value in enumerate(node.input):
            if value in stored and value in taken:
                if value not in copies:
                    copies[value] = f"{value}:float"
                    copy = graph.initializer.add()
                    copy.CopyFrom(stored[value])
                    copy.name = copies[value]
                node.input[index] = copies[value]


def _glue_between(graph: Any, chosen: set[str]) -> list[str]:
    """Glue nodes all of whose computed inputs come, through glue, from chosen layers."""
    constants = {initializer.name for initializer in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    quantized: set[str] = set()
    glue = []
    for node in graph.node:
        if node.name in chosen:
            quantized.update(node.output)
        elif node.op_type in _GLUE:
            computed = [value for value in node.input if value and value not in constants]
            if computed and all(value in quantized for value in computed):
                quantized.update(node.output)
                glue.append(node.name)
    return glue


def _guard_float_layers(graph: Any, quantized: set[str]) -> None:
    """Keeps float layers float under the runtime's default optimizers, in place.

    ONNX Runtime (WeightBiasQuantization, seen in 1.31 and 1.32) turns a float Conv or Gemm between
    DequantizeLinear and QuantizeLinear into int8 when a session is created. It does so only if the input's
    scale is a scalar. So a float layer gets its own DequantizeLinear with the same scale repeated for each
    channel: the same values, no fusion.
    """
    producers = {value: node for node in graph.node for value in node.output}
    constants = {initializer.name: initializer for initializer in graph.initializer}
    for node in list(graph.node):
        if node.op_type not in WEIGHT_OPS or node.name in quantized or layer_of(node.name) is None:
            continue
        source = producers.get(node.input[0])
        if source is None or source.op_type != "DequantizeLinear":
            continue
        scale, zero = (numpy_helper.to_array(constants[name]) for name in source.input[1:3])
        channels, axis = _input_channels(node, constants)
        names = [f"{node.name}:{part}" for part in ("scale", "zero", "in")]
        for name, value in zip(names, (scale, zero), strict=False):
            repeated = np.full(channels, value.reshape(()), dtype=value.dtype)
            graph.initializer.append(numpy_helper.from_array(repeated, name))
        guard = helper.make_node(
            "DequantizeLinear",
            [source.input[0], *names[:2]],
            [names[2]],
            name=f"{node.name}:guard",
            axis=axis,
        )
        graph.node.insert(list(graph.node).index(node), guard)
        node.input[0] = names[2]


def _input_channels(node: Any, constants: dict[str, Any]) -> tuple[int, int]:
    """Channels of a layer's input, and the axis they lie on."""
    shape = list(constants[node.input[1]].dims)
    if node.op_type == "Conv":
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        return shape[1] * groups, 1
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return (shape[1] if transposed else shape[0]), -1
