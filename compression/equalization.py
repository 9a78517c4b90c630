"""Cross-layer equalization: weights' ranges are balanced between layers, the function stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Array = NDArray[Any]

ROUNDS: Final = 20
TOLERANCE: Final = 1e-3
"""Rounds end when no channel is scaled by more than this, relative to 1."""
MOST: Final = 1e4
"""Channels are scaled by at most this factor in a round: biases must stay in float32's range."""

_HOMOGENEOUS: Final = frozenset({
    "AveragePool", "Flatten", "GlobalAveragePool", "GlobalMaxPool", "Identity", "LeakyRelu", "MaxPool",
    "ReduceMean", "Relu",
})  # fmt: skip
"""Operators with ``f(s x) = s f(x)`` for every channel and ``s > 0``."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers with nothing but homogeneous operators and perhaps a `Clip` between.

    Attributes:
        first: the layer whose output channels are scaled down.
        second: the one whose inputs are scaled up.
        cap: upper bound of a ``Clip(0, cap)`` between them; ``None`` without one.
        input_cap: greatest input of the first layer, whose inputs are then not negative; ``None`` if unknown.
    """

    first: Any
    second: Any
    cap: float | None
    input_cap: float | None


def equalize(path: Path) -> int:
    """Balances the ranges of layers' output channels with the inputs behind (Nagel et al. 2019, 4.1).

    With ranges r1 and r2 of a channel's weights in both layers, the first layer's are divided by
    ``s = sqrt(r1 r2) / r2`` and the second's multiplied, until nothing changes; both ranges are then equal.
    Where a ``Clip(0, c)`` such as ReLU6 stands between, the paper replaces it by ReLU, which is another
    function. Here a channel is scaled only as far as it provably never reaches the bound, given that the
    layer's inputs are bounded by a Clip themselves.

    Args:
        path: a float file of `export_float`; written anew, aside and renamed. Convolutions (grouped and
            depthwise, too) and Gemm layers count, each weight with one reader, each output with one.

    Returns:
        The number of pairs of layers in which a channel was scaled; with 0 the file stays as it was.
    """
    model = onnx.load(path)
    weights = _Weights(model.graph)
    pairs = list(_pairs(model.graph, weights))
    changed: set[int] = set()
    for _ in range(ROUNDS):
        largest = 0.0
        for index, pair in enumerate(pairs):
            scale = _scale(pair, weights)
            distance = float(np.abs(np.log(scale)).max(initial=0))
            if distance > TOLERANCE:
                weights.divide_outputs(pair.first, scale)
                weights.multiply_inputs(pair.second, scale)
                changed.add(index)
            largest = max(largest, distance)
        if largest <= TOLERANCE:
            break
    if changed:
        weights.store()
        written = path.with_name(f".equalized-{path.name}")
        try:
            onnx.save(model, written)
            written.replace(path)
        finally:
            written.unlink(missing_ok=True)
    return len(changed)


class _Weights:
    """Weights and biases of a graph's layers in float64, by channel; `store` rounds them back."""

    def __init__(self, graph: Any) -> None:
        self.items = {item.name: item for item in graph.initializer}
        self.arrays: dict[str, Array] = {}
        self.uses: dict[str, int] = {}
        for node in graph.node:
            for value in node.input:
                self.uses[value] = self.uses.get(value, 0) + 1

    def has(self, node: Any) -> bool:
        """The node's weight, and its bias if there is one, are stored and its own."""
        return node.op_type in {"Conv", "Gemm"} and all(
            value in self.items and self.uses[value] == 1 for value in node.input[1:] if value
        )

    def outputs(self, node: Any) -> Array:
        """Weights as ``outputs x …``."""
        weight = self._array(node.input[1])
        return weight.T if self._is_turned(node) else weight

    def inputs(self, node: Any, channels: int) -> Array:
        """Weights as ``channels x …`` by input channel; flattened positions belong to their channel."""
        weight = self.outputs(node)
        if node.op_type == "Gemm":
            turned: Array = weight.T.reshape(channels, -1)
            return turned
        groups = _attribute(node, "group", 1)
        split = weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)
        by_channel: Array = split.transpose(0, 2, 1, 3).reshape(channels, -1)
        return by_channel

    def bias(self, node: Any) -> Array:
        """One entry an output; zeros without a bias."""
        if len(node.input) > 2 and node.input[2]:  # noqa: PLR2004
            return np.broadcast_to(self._array(node.input[2]).reshape(-1), (len(self.outputs(node)),))
        return np.zeros(len(self.outputs(node)))

    def divide_outputs(self, node: Any, scale: Array) -> None:
        weight = self.outputs(node)
        weight /= scale.reshape(-1, *[1] * (weight.ndim - 1))
        if len(node.input) > 2 and node.input[2]:  # noqa: PLR2004
            bias = self._array(node.input[2])
            self.arrays[node.input[2]] = (self.bias(node) / scale).reshape((*bias.shape[:-1], -1))

    def multiply_inputs(self, node: Any, scale: Array) -> None:
        weight = self.outputs(node)
        if node.op_type == "Gemm":
            weight *= np.repeat(scale, weight.shape[1] // len(scale))
            return
        groups = _attribute(node, "group", 1)
        by_row = np.repeat(scale.reshape(groups, weight.shape[1]), weight.shape[0] // groups, axis=0)
        weight *= by_row.reshape(*by_row.shape, *[1] * (weight.ndim - 2))

    def store(self) -> None:
        for name, array in self.arrays.items():
            kept = numpy_helper.to_array(self.items[name]).dtype
            self.items[name].CopyFrom(numpy_helper.from_array(array.astype(kept), name))

    def _array(self, name: str) -> Array:
        if name not in self.arrays:
            self.arrays[name] = numpy_helper.to_array(self.items[name]).astype(np.float64)
        return self.arrays[name]

    def _is_turned(self, node: Any) -> bool:
        return node.op_type == "Gemm" and not _attribute(node, "transB", 0)


def _scale(pair: Pair, weights: _Weights) -> Array:
    """What each channel is divided by in the first layer; 1 where it has no weights, or must not change."""
    outputs = weights.outputs(pair.first)
    count = len(outputs)
    before = np.abs(outputs.reshape(count, -1)).max(axis=1)
    behind = np.abs(weights.inputs(pair.second, count)).max(axis=1)
    is_used = (before > 0) & (behind > 0)
    ratio = np.divide(before, behind, out=np.ones(count), where=is_used)
    scale: Array = np.clip(np.sqrt(ratio), 1 / MOST, MOST)
    if pair.cap is None:
        return scale
    if pair.input_cap is None:
        return np.ones(count)
    # Values z <= reach. Clip(z / s, 0, cap) = Clip(z, 0, cap) / s if neither side reaches its bound.
    positive = np.maximum(outputs.reshape(count, -1), 0).sum(axis=1)
    reach = weights.bias(pair.first) + pair.input_cap * positive
    least = np.maximum(reach, 0) / pair.cap
    return np.where(least <= 1, np.maximum(scale, np.maximum(least, 1 / MOST)), 1.0)


def _pairs(graph: Any, weights: _Weights) -> Iterator[Pair]:
    producers = {value: node for node in graph.node for value in node.output}
    consumers: dict[str, list[Any]] = {}
    for node in graph.node:
        for value in node.input:
            consumers.setdefault(value, []).append(node)
    outputs = {item.name for item in graph.output}
    for first in graph.node:
        if not weights.has(first):
            continue
        value, cap = first.output[0], None
        while value not in outputs and len(consumers.get(value, [])) == 1:
            node = consumers[value][0]
            if node.op_type in {"Conv", "Gemm"}:
                if node.input[0] == value and weights.has(node) and not _attribute(node, "transA", 0):
                    yield Pair(first, node, cap, _input_cap(first, producers, weights))
                break
            bound = _clip(node, weights)
            if not _keeps_channels(node, value) or (bound is None and node.op_type == "Clip"):
                break
            cap = bound if cap is None else min(cap, bound or cap)
            value = node.output[0]


def _keeps_channels(node: Any, value: str) -> bool:
    """The operator computes each channel (axis 1, n x channels x …) by itself, scaled as its input is."""
    if node.input[0] != value:
        return False
    if node.op_type == "ReduceMean":
        return bool(all(axis > 1 for axis in _attribute(node, "axes", [0])))
    if node.op_type == "Flatten":
        return bool(_attribute(node, "axis", 1) == 1)
    return node.op_type in _HOMOGENEOUS or node.op_type == "Clip"


def _clip(node: Any, weights: _Weights) -> float | None:
    """The upper bound of a ``Clip(0, bound)`` with stored bounds; ``None`` for other operators."""
    bounds = list(node.input[1:3])
    if node.op_type != "Clip" or [name in weights.items for name in bounds] != [True, True]:
        return None
    low, high = (float(numpy_helper.to_array(weights.items[name])) for name in bounds)
    return high if low == 0 < high else None


def _input_cap(node: Any, producers: dict[str, Any], weights: _Weights) -> float | None:
    """What bounds a layer's inputs, which are not negative then: a Clip, perhaps with pools behind it."""
    producer = producers.get(node.input[0])
    while producer is not None and producer.op_type in _HOMOGENEOUS - {"LeakyRelu"}:
        producer = producers.get(producer.input[0])
    return None if producer is None else _clip(producer, weights)


def _attribute(node: Any, name: str, default: Any) -> Any:
    found = next((item for item in node.attribute if item.name == name), None)
    return default if found is None else helper.get_attribute_value(found)
