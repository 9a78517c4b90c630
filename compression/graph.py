"""Names in an ONNX graph: each weight layer's nodes carry its module path, so that it can be found again.

A layer's node is called ``@<module path>@<call>`` and its output ``@<module path>@<call>:out``. Runtime
optimizers keep one or the other through fusion and layout changes, with words of their own around it (ONNX
Runtime 1.32 has ``fused @fc@0``, and calls an NCHWc convolution ``@conv@0:out_nchwc``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import numpy_helper

from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

WEIGHT_OPS: Final = frozenset({"Conv", "Gemm", "MatMul"})
RECURRENT_OPS: Final = frozenset({"LSTM", "GRU"})
LAYER_OPS: Final = WEIGHT_OPS | RECURRENT_OPS | {"Gather"}
"""Operators that carry a layer's name: of weight layers, recurrent layers and embeddings."""

_ACTIVATIONS: Final = frozenset({"Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid"})
_OUTPUT: Final = ":out"
_LABEL: Final = re.compile(r"@(?P<layer>[^@]+)@\d+")


def layer_of(name: str) -> str | None:
    """The module path in a node's or value's name, or ``None`` if it names no layer."""
    match = _LABEL.search(name)
    return None if match is None else match["layer"].replace("%40", "@").replace("%25", "%")


def is_folded(constant: str) -> bool:
    """An initializer's name says that it is what a layer's look-up of fixed indices gave."""
    return constant.endswith(_OUTPUT) and layer_of(constant) is not None


def layer_of_node(node: Any, outputs: Mapping[str, str] | None = None) -> str | None:
    """The layer that a node belongs to, by its own name or by that of what it produces.

    Args:
        node: of a graph that a runtime has optimized.
        outputs: of `output_layers`, for nodes that are known by a graph's output alone.
    """
    names = [node.name, *node.output]
    known = outputs or {}
    candidates = [layer_of(name) for name in names]
    candidates += [known.get(name.removesuffix("_nchwc")) for name in names]
    return next((layer for layer in candidates if layer is not None), None)


def output_layers(graph: Any) -> dict[str, str]:
    """The layers that make a graph's outputs, which keep their own names: layer by output."""
    producers = {value: node for node in graph.node for value in node.output}
    found = {}
    for output in graph.output:
        node = producers.get(output.name)
        if node is not None and node.op_type in _ACTIVATIONS:
            node = producers.get(node.input[0])
        layer = None if node is None else layer_of(node.name)
        if layer is not None:
            found[output.name] = layer
    return found


def label_layers(graph: Any, calls: Iterable[tuple[str, Tensor]]) -> None:
    """Names the nodes that consume the layers' weights, in place.

    A layer is known by its weight's values, since the exporter keeps equal tensors once, under one name;
    layers of equal weights are told apart by their order. What an embedding looks up is named after it too:
    a look-up of constant indices is folded into a constant that keeps the name.

    Args:
        graph: as exported, in the order of execution.
        calls: module path and weight for each call of a layer, in the order of execution.
    """
    waiting: dict[object, list[str]] = {}
    for layer, weight in calls:
        waiting.setdefault(_content(weight.detach().cpu().numpy()), []).append(layer)
    stored = {item.name: item for item in graph.initializer}
    through = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type in {"Transpose", "Identity"}
    }
    counts: dict[str, int] = {}
    for node in graph.node:
        if node.op_type not in WEIGHT_OPS | {"Gather"}:
            continue
        sources = [_follow(value, through) for value in node.input[:2]]
        contents = [_content(numpy_helper.to_array(stored[name])) for name in sources if name in stored]
        queues = [waiting[content] for content in contents if waiting.get(content)]
        if queues:
            _label(node, queues[0].pop(0), counts)
    kept = {value.name for value in graph.output}
    _rename(
        graph,
        {
            node.output[0]: f"{node.name}{_OUTPUT}"
            for node in graph.node
            if node.op_type == "Gather" and layer_of(node.name) is not None and node.output[0] not in kept
        },
    )


def label_recurrent(graph: Any, calls: Iterable[tuple[str, int]]) -> None:
    """Names the nodes of recurrent layers, in place.

    Their weights are re-ordered on export, so they are told by their order, which is that of the calls.

    Args:
        graph: as exported, in the order of execution.
        calls: module path and number of stacked layers for each call of an LSTM or GRU, in the order of
            execution.

    Raises:
        CompressionError: the graph has another number of such nodes than the calls make.
    """
    nodes = [node for node in graph.node if node.op_type in RECURRENT_OPS]
    layers = [layer for layer, count in calls for _ in range(count)]
    if len(nodes) != len(layers):
        raise CompressionError(
            f"recurrent layers {', '.join(sorted(set(layers)))} make {len(layers)} operators, but the graph "
            f"as exported has {len(nodes)}; call nn.LSTM and nn.GRU as modules"
        )
    counts: dict[str, int] = {}
    for node, layer in zip(nodes, layers, strict=True):
        _label(node, layer, counts)


def label_outputs(graph: Any) -> None:
    """Names the layers' outputs, and those of a lone activation that follows, after the layer; in place."""
    kept = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    consumers: dict[str, list[Any]] = {}
    for node in graph.node:
        for value in node.input:
            consumers.setdefault(value, []).append(node)
    for node in graph.node:
        if node.op_type not in WEIGHT_OPS | RECURRENT_OPS or layer_of(node.name) is None:
            continue
        label = node.name
        output = node.output[0]
        if output not in kept:
            renamed[output] = f"{label}{_OUTPUT}"
        followers = consumers.get(output, [])
        if (
            len(followers) == 1
            and followers[0].op_type in _ACTIVATIONS
            and followers[0].output[0] not in kept
        ):
            renamed[followers[0].output[0]] = f"{label}:act"
    _rename(graph, renamed)
    del graph.value_info[:]  # shapes by the old names; runtimes infer them again


def _label(node: Any, layer: str, counts: dict[str, int]) -> None:
    path = layer.replace("%", "%25").replace("@", "%40")
    node.name = f"@{path}@{counts.get(layer, 0)}"
    counts[layer] = counts.get(layer, 0) + 1


def _rename(graph: Any, renamed: dict[str, str]) -> None:
    for node in graph.node:
        for values in (node.input, node.output):
            for index, value in enumerate(values):
                values[index] = renamed.get(value, value)


def _content(array: np.ndarray[Any, Any]) -> object:
    return array.shape, np.ascontiguousarray(array).tobytes()


def _follow(value: str, through: dict[str, str]) -> str:
    while value in through:
        value = through[value]
    return value
