"""From a float file and a policy to the quantized file: every layer by its own plan, in one graph."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import onnx
from onnx import helper

from compression.graph import LAYER_OPS, WEIGHT_OPS, is_folded, layer_of
from compression.quantization.blocks import use_blocks
from compression.quantization.calibration import Range, Wanted, calibrate
from compression.quantization.dynamic import Dynamic
from compression.quantization.editing import Editor
from compression.quantization.numerics import weight_limits
from compression.quantization.operands import Inputs
from compression.quantization.plan import LayerPlan, check_formats, plan_layers
from compression.quantization.static import (
    glue_between,
    guard_float_layers,
    input_channels,
    quantize_static_layers,
    wanted_ranges,
)
from compression.quantization.weights import store_folded, store_operand, store_table, weight_inputs
from spaces import FLOAT_BITS, MOST_INTEGER_BITS, CompressionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from compression.workload import Workload
    from spaces import Policy

LAYERS_KEY: Final = "tauten.layers"
"""Of the ONNX metadata that says how each quantized layer is stored and computed."""


def quantize(source: Path, path: Path, workload: Workload, policy: Policy, *, reduce_range: bool) -> None:
    """Quantizes each layer of a policy as its formats say; the others compute in float.

    Layers with 8-bit static activations and plain weights run on integers, as do the operators between them;
    dynamic ones run on integers whose ranges are found at run time; 4-bit weights of linear layers run in
    MatMulNBits; every other combination runs in float on operands that are rounded as the format has it. The
    file honours that under a runtime's default options (see `static.guard_float_layers`). Its metadata
    `LAYERS_KEY` hold ``{layer: {"weight", "activation", "mode", "simulated", "range"}}``: bits of both, the
    activations' mode, whether the format is simulated, and the least and greatest integer of the weights
    (``null`` for float).

    Args:
        source: a file of `export_float`.
        path: the file to write; nothing is written if an error is raised.
        workload: for the calibration split.
        policy: its quantized layers.
        reduce_range: 7-bit weights for integer kernels, for x86 CPUs without VNNI, whose 16-bit sums saturate
            with 8.

    Raises:
        InvalidPolicy: a layer cannot take its formats.
        CompressionError: a layer has no node in the graph, two layers ask for different calibrations of one
            tensor, or the quantizer refuses the graph.
        WorkloadError: the calibration split is empty or cannot be read.
    """
    model = onnx.load(source)
    ops = layer_ops(model.graph)
    missing = sorted(name for name, layer in policy.layers.items() if layer.is_quantized and name not in ops)
    if missing:
        raise CompressionError(f"layers {', '.join(missing)} have no weight operator in the exported graph")
    check_formats(policy, ops)
    plans = plan_layers(policy, ops)
    by_node = {
        node.name: plans[layer]
        for node in model.graph.node
        if node.op_type in LAYER_OPS and (layer := layer_of(node.name)) in plans
    }
    _untie(model.graph, by_node)
    channels = _float_channels(model.graph, by_node)
    static = {name: plan for name, plan in by_node.items() if plan.arithmetic == "static"}
    glue = glue_between(model.graph, static)
    core = wanted_ranges(model.graph, static, glue)
    own = _own_ranges(model.graph, by_node)
    found = calibrate(model, workload, {*core, *own.values()})
    if static:
        ranges = {item.tensor: found[item] for item in core}
        model = quantize_static_layers(model, static, glue, ranges, reduce_range=reduce_range)
    ends = {name: found[item] for name, item in own.items()}
    _edit(model.graph, plans, by_node, ends, reduce_range=reduce_range)
    guard_float_layers(model.graph, channels)
    _declare(model, plans, reduce_range=reduce_range)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def layer_ops(graph: Any) -> dict[str, str]:
    """Operator of `spaces.LayerInfo.op` by layer, as far as a graph tells.

    A table whose look-up was folded into a constant is known by the constant's name.
    """
    shapes = {item.name: list(item.dims) for item in graph.initializer}
    found = {layer: "embedding" for name in shapes if is_folded(name) and (layer := layer_of(name))}
    for node in graph.node:
        layer = layer_of(node.name)
        if layer is not None and node.op_type in LAYER_OPS:
            found[layer] = _op(node, shapes)
    return found


def _op(node: Any, shapes: Mapping[str, list[int]]) -> str:
    if node.op_type != "Conv":
        return {"Gather": "embedding", "LSTM": "lstm", "GRU": "gru"}.get(node.op_type, "linear")
    groups = next((item.i for item in node.attribute if item.name == "group"), 1)
    if groups == 1:
        return "conv"
    return "depthwise-conv" if groups == shapes[node.input[1]][0] else "grouped-conv"


def _untie(graph: Any, plans: Mapping[str, LayerPlan]) -> None:
    """Gives nodes of different plans that share a tensor a copy each, in place.

    A quantizer replaces a tensor for all who read it, so float layers would compute on rounded weights.
    """
    stored = {item.name: item for item in graph.initializer}
    owners: dict[str, dict[str | None, str]] = {}
    for node in graph.node:
        plan = plans.get(node.name)
        owner = None if plan is None else plan.layer
        for index, value in enumerate(node.input):
            if value not in stored:
                continue
            names = owners.setdefault(value, {})
            if owner not in names:
                names[owner] = value if not names else f"{value}:{len(names)}"
                if names[owner] != value:
                    copy = graph.initializer.add()
                    copy.CopyFrom(stored[value])
                    copy.name = names[owner]
            node.input[index] = names[owner]


def _float_channels(graph: Any, plans: Mapping[str, LayerPlan]) -> dict[str, tuple[int, int]]:
    """Input channels of the weight operators that integer kernels must not take over, by node name."""
    shapes = {item.name: tuple(item.dims) for item in graph.initializer}
    return {
        node.name: input_channels(node, shapes[node.input[1]])
        for node in graph.node
        if node.op_type in WEIGHT_OPS
        and layer_of(node.name) is not None
        and (node.name not in plans or plans[node.name].arithmetic != "static")
    }


def _own_ranges(graph: Any, plans: Mapping[str, LayerPlan]) -> dict[str, Wanted]:
    """The static ranges of float kernels' inputs, by node name."""
    return {
        node.name: Wanted(node.input[0], form.calibration, form.bits)
        for node in graph.node
        if node.name in plans
        and plans[node.name].arithmetic != "static"
        and (form := plans[node.name].activation).mode == "static"
    }


def _edit(
    graph: Any,
    plans: Mapping[str, LayerPlan],
    by_node: Mapping[str, LayerPlan],
    ends: Mapping[str, Range],
    *,
    reduce_range: bool,
) -> None:
    """Everything but the static layers."""
    editor = Editor(graph)
    dynamic = Dynamic(editor, reduce_range=reduce_range)
    inputs = Inputs(editor, dynamic)
    known: dict[str, str] = {}
    for node in [node for node in editor.nodes if node.name in by_node]:
        plan = by_node[node.name]
        if plan.arithmetic == "dynamic":
            dynamic.use(node, plan.weight)
        elif plan.arithmetic == "blocks":
            use_blocks(editor, node, plan.weight)
        elif plan.arithmetic == "operands":
            if plan.activation.bits < FLOAT_BITS:
                inputs.round(node, plan.activation, ends.get(node.name))
            _store_weights(editor, node, plan, known)
    for name in [item.name for item in graph.initializer]:
        table = plans.get(layer_of(name) or "")
        if table is not None and is_folded(name):
            store_folded(editor, name, table.weight)
    editor.finish()


def _store_weights(editor: Editor, node: Any, plan: LayerPlan, known: dict[str, str]) -> None:
    if plan.weight.bits == FLOAT_BITS:
        return
    if node.op_type == "Gather":
        store_table(editor, node, plan.weight)
        return
    for position in weight_inputs(node):
        store_operand(editor, node, position, plan.weight, known)


def _declare(model: Any, plans: Mapping[str, LayerPlan], *, reduce_range: bool) -> None:
    """Writes the metadata, and the operator sets that the nodes need."""
    layers = {
        name: {
            "weight": plan.weight.bits,
            "activation": plan.activation.bits,
            "mode": plan.activation.mode,
            "simulated": plan.simulated,
            "range": _weight_range(plan, reduce_range=reduce_range),
        }
        for name, plan in sorted(plans.items())
    }
    helper.set_model_props(model, {LAYERS_KEY: json.dumps(layers, sort_keys=True)})
    domains = {item.domain for item in model.opset_import}
    used = {node.domain for node in model.graph.node if node.domain} - domains
    model.opset_import.extend(helper.make_opsetid(domain, 1) for domain in sorted(used))


def _weight_range(plan: LayerPlan, *, reduce_range: bool) -> list[int] | None:
    if plan.weight.bits > MOST_INTEGER_BITS:
        return None
    reduced = reduce_range and plan.arithmetic in {"static", "dynamic"}
    return list(weight_limits(plan.weight.bits, symmetric=plan.weight.symmetric, reduce_range=reduced))
