"""Names in an ONNX graph: each weight layer's nodes carry its module path, so that it can be found again.

A layer's node is called ``<module path>@<call>`` and its output ``<module path>@<call>:out``. Runtime optimizers keep
one or the other through fusion and layout changes (ONNX Runtime 1.32 names an NCHWc convolution after its output).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

WEIGHT_OPS: Final = frozenset({"Conv", "Gemm", "MatMul"})
_ACTIVATIONS: Final = frozenset({"Relu", "Clip", "Sigmoid", "Tanh", "LeakyRelu", "HardSigmoid"})
_LABEL: Final = re.compile(r"^(?P<layer>.+?)@\d+(?=$|[:_/])")


def layer_of(name: str) -> str | None:
    """The module path in a node's or value's name, or ``None`` if it names no layer."""
    match = _LABEL.match(name)
    return None if match is None else match["layer"]


def layer_of_node(node: Any) -> str | None:
    """The layer that a node belongs to, by its own name or by that of what it produces."""
    candidates = (layer_of(name) for name in (node.name, *node.output))
    return next((layer for layer in candidates if layer is not None), None)


def label_layers(graph: Any, weights: Iterable[str]) -> None:
    """Names the nodes that consume the layers' weights, in place.

    Args:
        graph: as exported, with initializers named like the model's parameters.
        weights: module paths whose ``.weight`` initializers to look for.
    """
    layers = set(weights)
    transposed = {node.output[0]: node.input[0] for node in graph.node if node.op_type in {"Transpose", "Identity"}}
    calls: dict[str, int] = {}
    for node in graph.node:
        if node.op_type not in WEIGHT_OPS:
            continue
        for value in node.input[:2]:
            source = _follow(value, transposed)
            if source.endswith(".weight") and source[: -len(".weight")] in layers:
                layer = source[: -len(".weight")]
                node.name = f"{layer}@{calls.get(layer, 0)}"
                calls[layer] = calls.get(layer, 0) + 1


def label_outputs(graph: Any) -> None:
    """Names the outputs of the layers' nodes, and of an activation that follows alone, after the layer; in place."""
    kept = {value.name for value in graph.output}
    renamed: dict[str, str] = {}
    consumers: dict[str, list[Any]] = {}
    for node in graph.node:
        for value in node.input:
            consumers.setdefault(value, []).append(node)
    for node in graph.node:
        if node.op_type not in WEIGHT_OPS or layer_of(node.name) is None:
            continue
        label = _LABEL.match(node.name)[0]  # type: ignore[index]  # layer_of matched it
        output = node.output[0]
        if output not in kept:
            renamed[output] = f"{label}:out"
        followers = consumers.get(output, [])
        if len(followers) == 1 and followers[0].op_type in _ACTIVATIONS and followers[0].output[0] not in kept:
            renamed[followers[0].output[0]] = f"{label}:act"
    for node in graph.node:
        for values in (node.input, node.output):
            for index, value in enumerate(values):
                values[index] = renamed.get(value, value)
    del graph.value_info[:]  # shapes by the old names; runtimes infer them again


def _follow(value: str, through: dict[str, str]) -> str:
    while value in through:
        value = through[value]
    return value
