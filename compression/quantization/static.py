"""Integer layers between QuantizeLinear and DequantizeLinear, with ranges that calibration found."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import save_and_reload_model_with_shape_infer

from compression.quantization.calibration import Wanted
from compression.quantization.numerics import quantize_rows
from compression.quantization.weights import is_transposed, to_rows
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from compression.quantization.calibration import Range
    from compression.quantization.plan import LayerPlan

_GLUE: Final = frozenset({
    "Add", "Mul", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Reshape",
    "Flatten", "Transpose", "Squeeze", "Unsqueeze", "ReduceMean",
})  # fmt: skip
"""Operators that ONNX Runtime can compute on int8 between two int8 layers."""


def glue_between(graph: Any, chosen: Collection[str]) -> list[str]:
    """Glue nodes all of whose computed inputs come, through glue, from chosen nodes; by name.

    The Add of a linear layer's bias is no glue: left in float, the product, its scales and the bias are one
    operator (MatMulIntegerToFloat), which took a BERT-like encoder of 6 x 384 from 2.1 to 2.4 times the speed
    of fp32 (ONNX Runtime 1.32, sequence 40).
    """
    constants = {initializer.name for initializer in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    quantized: set[str] = set()
    glue = []
    for node in graph.node:
        if node.name in chosen:
            quantized.update(node.output)
        elif node.op_type in _GLUE:
            computed = [value for value in node.input if value and value not in constants]
            is_bias = node.op_type == "Add" and len(computed) == 1
            if computed and not is_bias and all(value in quantized for value in computed):
                quantized.update(node.output)
                glue.append(node.name)
    return glue


def wanted_ranges(graph: Any, plans: Mapping[str, LayerPlan], glue: Collection[str]) -> list[Wanted]:
    """The tensors whose ranges the static layers need, each with the method of the layer that reads it.

    A tensor that no layer reads, through glue or directly, has the method of the layer that made it.

    Args:
        graph: float.
        plans: of the static layers' nodes, by node name.
        glue: of `glue_between`.

    Raises:
        CompressionError: two layers read one tensor and want its range by different methods.
    """
    nodes = [node for node in graph.node if node.name in plans or node.name in set(glue)]
    stored = {initializer.name for initializer in graph.initializer}
    reads = {node.name: [value for value in node.input if value and value not in stored] for node in nodes}
    readers: dict[str, LayerPlan] = {}
    for node in reversed(nodes):
        heir = plans.get(node.name) or readers.get(node.output[0])
        if heir is None:
            continue
        for value in reads[node.name]:
            other = readers.setdefault(value, heir)
            if other.activation.calibration != heir.activation.calibration:
                raise CompressionError(
                    f"layers {other.layer!r} and {heir.layer!r} read one tensor, whose range is found by "
                    f"{other.activation.calibration} or {heir.activation.calibration}: give them the same"
                )
    makers: dict[str, LayerPlan] = {}
    methods = {value: plan.activation.calibration for value, plan in readers.items()}
    for node in nodes:
        maker = plans.get(node.name) or makers[reads[node.name][0]]
        makers[node.output[0]] = maker
        for value in (*reads[node.name], node.output[0]):
            methods.setdefault(value, maker.activation.calibration)
    return [Wanted(value, method) for value, method in methods.items()]


def quantize_static_layers(
    model: Any,
    plans: Mapping[str, LayerPlan],
    glue: Collection[str],
    ranges: Mapping[str, Range],
    *,
    reduce_range: bool,
) -> Any:
    """Puts QuantizeLinear and DequantizeLinear around static layers and their glue.

    Args:
        model: float.
        plans: of the static layers' nodes, by node name.
        glue: of `glue_between`.
        ranges: of every tensor of `wanted_ranges`.
        reduce_range: see `numerics.weight_limits`.

    Returns:
        The model with int8 weights, uint8 activations and int32 biases.

    Raises:
        CompressionError: ONNX Runtime's quantizer refuses the graph.
    """
    overrides = _weight_overrides(model.graph, plans, reduce_range=reduce_range)
    data = {name: tuple(np.float32(end) for end in ends) for name, ends in ranges.items()}
    names = [*plans, *glue]
    types = sorted({node.op_type for node in model.graph.node if node.name in set(names)})
    root = logging.getLogger()  # the quantizer logs advice to pre-process, which `export_float` has done
    level, root.level = root.level, logging.ERROR
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            quantizer = QDQQuantizer(
                save_and_reload_model_with_shape_infer(model),
                True,  # per_channel
                reduce_range,
                QuantType.QInt8,
                QuantType.QUInt8,
                TensorsData(CalibrationMethod.MinMax, data),
                sorted(names),
                [],
                types,
                {"TensorQuantOverrides": overrides, "OpTypesToExcludeOutputQuantization": ["MatMul"]},
            )
            quantizer.quantize_model()
            quantizer.model.topological_sort()
            return quantizer.model.model
    except Exception as error:  # it raises what it likes
        raise CompressionError(f"ONNX Runtime cannot quantize the graph: {error}") from error
    finally:
        root.level = level


def _weight_overrides(
    graph: Any, plans: Mapping[str, LayerPlan], *, reduce_range: bool
) -> dict[str, list[dict[str, Any]]]:
    """Our scales for the quantizer, which knows 8 bits alone."""
    stored = {item.name: item for item in graph.initializer}
    overrides = {}
    for node in graph.node:
        if node.name not in plans:
            continue
        weight = numpy_helper.to_array(stored[node.input[1]])
        rows = quantize_rows(to_rows(node, weight), plans[node.name].weight, reduce_range=reduce_range)
        common = {"quant_type": QuantType.QInt8, "zero_point": np.int8(0)}
        if rows.scale.ndim:
            common["axis"] = int(is_transposed(node))
        scales = np.atleast_1d(rows.scale)
        overrides[node.input[1]] = [{**common, "scale": scale} for scale in scales]
    return overrides


def guard_float_layers(graph: Any, channels: Mapping[str, tuple[int, int]]) -> None:
    """Keeps float kernels float under the runtime's default optimizers, in place.

    ONNX Runtime (WeightBiasQuantization, seen in 1.31 and 1.32) turns a float Conv or Gemm between
    DequantizeLinear and QuantizeLinear into int8 when a session is created. It does so only if the input's
    scale is a scalar. So a float layer gets its own DequantizeLinear with the same scale repeated for each
    channel: the same values, no fusion. Layers whose rounded operands are computed in float get one too: the
    integer operator would round their bias to the step of the products, which is coarse with few bits. One
    channel's scale is a scalar again, so there a Max with the least float stands between, which no optimizer
    removes.

    Args:
        graph: edited in place.
        channels: of the float layers' nodes, by name: of `input_channels`.
    """
    producers = {value: node for node in graph.node for value in node.output}
    constants = {initializer.name: initializer for initializer in graph.initializer}
    for node in list(graph.node):
        source = producers.get(node.input[0]) if node.name in channels else None
        if source is None or source.op_type != "DequantizeLinear" or source.input[1] not in constants:
            continue
        scale, zero = (numpy_helper.to_array(constants[name]) for name in source.input[1:3])
        count, axis = channels[node.name]
        if count == 1:
            _stand_between(graph, node)
            continue
        names = [f"{node.name}:{part}" for part in ("scale", "zero", "in")]
        for name, value in zip(names, (scale, zero), strict=False):
            repeated = np.full(count, value.reshape(()), dtype=value.dtype)
            graph.initializer.append(numpy_helper.from_array(repeated, name))
        guard = helper.make_node(
            "DequantizeLinear",
            [source.input[0], *names[:2]],
            [names[2]],
            name=f"{node.name}:guard",
            axis=axis,
        )
        _insert_before(graph, node, guard)
    read = {value for node in graph.node for value in node.input} | {item.name for item in graph.output}
    for node in list(graph.node):
        if node.op_type == "DequantizeLinear" and node.output[0] not in read:
            graph.node.remove(node)


def _stand_between(graph: Any, node: Any) -> None:
    """Puts an operator that changes no value before a node's first input, in place."""
    least, out = f"{node.name}:least", f"{node.name}:in"
    graph.initializer.append(numpy_helper.from_array(np.float32(np.finfo(np.float32).min), least))
    guard = helper.make_node("Max", [node.input[0], least], [out], name=f"{node.name}:guard")
    _insert_before(graph, node, guard)


def _insert_before(graph: Any, node: Any, guard: Any) -> None:
    at = next(index for index, other in enumerate(graph.node) if other.name == node.name)
    graph.node.insert(at, guard)
    node.input[0] = guard.output[0]


def input_channels(node: Any, weight_shape: tuple[int, ...]) -> tuple[int, int]:
    """Channels of a weight operator's input, and the axis they lie on."""
    if node.op_type == "Conv":
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        return weight_shape[1] * groups, 1
    return weight_shape[0 if is_transposed(node) else 1], -1
