"""Finds in an ONNX graph what is quantized, and on which grids: reading alone, nothing is made or changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import numpy_helper

from compression.graph import WEIGHT_OPS, layer_of
from compression.qat.grids import ActivationGrid, Grids, StoredGrid
from compression.quantization import LAYERS_KEY
from spaces import CompressionError

if TYPE_CHECKING:
    from compression.quantization.numerics import Array

LAYOUT: Final = frozenset({"Reshape", "Slice", "Transpose"})
"""Operators between stored integers and the layer that they are the weight of."""

_MOVING: Final = frozenset({
    "Expand", "Flatten", "Gather", "MaxPool", "Reshape", "Slice", "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators that compute on int8 only if what goes in and what comes out lies on one grid."""

_OFF_GRID: Final = 1e-2
"""Of a step: how far float32 bounds may lie from the integers that they stand for."""


def read_grids(model: Any) -> Grids:
    """Reads the grids of a graph of `QuantizeLinear` and `DequantizeLinear`; a float graph has none.

    Args:
        model: an ONNX model; its metadata say the least and greatest integer of each layer's weights, all
            that the type holds where they do not.

    Raises:
        CompressionError: a tensor is quantized in a form that cannot be trained; names it.
    """
    return _Reading(model).grids()


class _Reading:
    def __init__(self, model: Any) -> None:
        self.graph = model.graph
        self.arrays = {item.name: item for item in self.graph.initializer}
        self.producers = {value: node for node in self.graph.node for value in node.output}
        self.consumers: dict[str, list[tuple[Any, int]]] = {}
        for node in self.graph.node:
            for index, value in enumerate(node.input):
                self.consumers.setdefault(value, []).append((node, index))
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        self.layers: dict[str, Any] = json.loads(metadata.get(LAYERS_KEY, "{}"))
        self.activations: dict[str, ActivationGrid] = {}
        self.stored: dict[str, StoredGrid] = {}
        self.aliases: dict[str, str] = {}
        self.mirrors: dict[str, tuple[str, ...]] = {}

    def grids(self) -> Grids:
        for node in self.graph.node:  # in the order of execution
            if node.op_type == "QuantizeLinear":
                self._activation(node)
            elif node.op_type == "DequantizeLinear":
                self._dequantized(node)
        for node in self.graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0] in self.arrays:
                self.stored[node.output[0]] = self._stored(node)
        names = {grid.scale for grid in self.activations.values()}
        names |= {grid.scale for grid in self.stored.values()}
        steps = {name: self._array(name).astype(np.float32) for name in sorted(names)}
        return Grids(self.activations, self.stored, self.aliases, self.mirrors, steps)

    def _activation(self, node: Any) -> None:
        scale, zero = self._array(node.input[1]), self._zero(node, np.uint8)
        if scale.size != 1:
            raise CompressionError(
                f"{node.input[0]!r} is quantized with {scale.size} scales; only one can be trained"
            )
        limits = np.iinfo(zero.dtype)
        low, high, clip = int(limits.min), int(limits.max), None
        before = self.producers.get(node.input[0])
        if before is not None and before.op_type == "Clip" and len(self.consumers[node.input[0]]) == 1:
            levels = self._clipped_levels(before, float(scale), int(zero))
            if levels is not None and low <= levels[0] and levels[1] < high:
                (low, high), clip = levels, (before.input[1], before.input[2])
                self.aliases[node.input[0]] = before.input[0]
        step = self._same_grid(node, float(scale), int(zero)) or node.input[1]
        self.activations[node.output[0]] = ActivationGrid(
            node.output[0], node.input[1], step, int(zero), low, high, clip
        )

    def _clipped_levels(self, clip: Any, scale: float, zero: int) -> tuple[int, int] | None:
        """The integers that a `Clip` leaves, if they are all of 2 to 7 bits and lie on the grid."""
        bounds = list(clip.input[1:3])
        if len(bounds) != 2 or any(name not in self.arrays for name in bounds):  # noqa: PLR2004
            return None
        exact = [float(self._array(name)) / scale + zero for name in bounds]
        low, high = (round(value) for value in exact)
        is_grid = abs(exact[0] - low) + abs(exact[1] - high) < _OFF_GRID
        return (low, high) if is_grid and high - low + 1 in {2**bits for bits in range(2, 8)} else None

    def _same_grid(self, node: Any, scale: float, zero: int) -> str | None:
        """The step of what an operator that only moves values reads, where both scales are equal."""
        value = self.aliases.get(node.input[0], node.input[0])
        moving = self.producers.get(value)
        if moving is None or moving.op_type not in _MOVING:
            return None
        source = self.activations.get(self.aliases.get(moving.input[0], moving.input[0]))
        if source is None or source.zero != zero:
            return None
        return source.step if float(self._array(source.scale)) == scale else None

    def _dequantized(self, node: Any) -> None:
        """Notes that a value is a rounded one; what other operators make is dequantized by the table."""
        grid = self.activations.get(node.input[0])
        if grid is None:
            return
        scale, zero = self._array(node.input[1]), self._zero(node, np.uint8)
        if (scale != self._array(grid.scale)).any() or (zero != grid.zero).any():
            raise CompressionError(f"{node.input[0]!r} is read with another scale than it was written with")
        self.aliases[node.output[0]] = node.input[0]
        known = (grid.scale, *self.mirrors.get(grid.scale, ()))
        if node.input[1] not in known:
            self.mirrors[grid.scale] = (*known[1:], node.input[1])

    def _stored(self, node: Any) -> StoredGrid:
        integers, scale = self._array(node.input[0]), self._array(node.input[1])
        zero = np.broadcast_to(self._zero(node, integers.dtype), scale.shape)
        attributes = {attribute.name: attribute.i for attribute in node.attribute}
        reader, index, is_flipped = self._reader(node.output[0])
        layer = layer_of(reader.name) or layer_of(node.input[0]) or reader.name
        if attributes.get("block_size") or scale.ndim > 1:
            raise CompressionError(f"layer {layer!r}: DequantizeLinear by blocks cannot be trained")
        low, high = self._levels(integers, zero, layer)
        return StoredGrid(
            value=node.output[0],
            integers=node.input[0],
            scale=node.input[1],
            axis=attributes.get("axis", 1) if scale.size > 1 else None,
            zero=zero,
            low=low,
            high=high,
            sources=self._bias_sources(reader, index) if integers.dtype == np.int32 else None,
            layer=layer,
            reader=(reader.name, index),
            is_flipped=is_flipped,
        )

    def _reader(self, value: str) -> tuple[Any, int, bool]:
        """The operator that computes with a value and at which input, the labelled one if there are several.

        Reshape, Transpose and Slice on the way say how the weight is laid out, and whether it is turned over.
        """
        is_flipped = False
        while True:
            readers = self.consumers.get(value, [])
            if not readers:
                raise CompressionError(f"{value!r} is dequantized and never read")
            node, index = next((item for item in readers if layer_of(item[0].name)), readers[0])
            if node.op_type not in LAYOUT or index:
                return node, index, is_flipped
            is_flipped ^= node.op_type == "Transpose"
            value = node.output[0]

    def _levels(self, integers: Array, zero: Array, layer: str) -> tuple[int, int]:
        limits = np.iinfo(integers.dtype)
        if integers.dtype == np.int32:
            return int(limits.min), int(limits.max)
        declared = self.layers.get(layer, {})
        if limits.min == 0:  # the quantizer's form of constants between integer layers
            return int(limits.min), int(limits.max)
        if declared.get("range"):
            low, high = declared["range"]
            return low, high
        if zero.any():
            return int(limits.min), int(limits.max)
        return -int(limits.max), int(limits.max)

    def _bias_sources(self, reader: Any, index: int) -> tuple[str, str]:
        """The scales of a layer's input and weight."""
        data = self.activations.get(self.aliases.get(reader.input[0], ""))
        weight = self.producers.get(reader.input[1])
        if reader.op_type not in WEIGHT_OPS or index != 2 or data is None or weight is None:  # noqa: PLR2004
            raise CompressionError(f"{reader.name}: an int32 bias without an int8 input and weight")
        return data.step, weight.input[1]

    def _zero(self, node: Any, default: Any) -> Array:
        has_zero = len(node.input) > 2 and node.input[2]  # noqa: PLR2004
        return self._array(node.input[2]) if has_zero else np.zeros((), default)

    def _array(self, name: str) -> Array:
        if name not in self.arrays:
            raise CompressionError(f"{name!r} is computed; only stored scales and zero points can be trained")
        array: Array = numpy_helper.to_array(self.arrays[name])
        return array
