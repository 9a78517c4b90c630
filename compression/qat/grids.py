"""What is quantized in an ONNX graph, and on which grids. Pure values; `grid_reader` finds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.quantization.numerics import Array


@dataclass(frozen=True, slots=True)
class ActivationGrid:
    """A tensor that is rounded when it is computed.

    Attributes:
        value: the name of what `QuantizeLinear` makes.
        scale: the initializer of its scale.
        step: the scale that stands for it among `Grids.steps`; equal to another's where both must stay equal.
        zero: the integer that stands for 0.
        low: the least integer.
        high: the greatest, inclusive.
        clip: initializers of the bounds of a `Clip` that holds it to fewer levels than its type has.
    """

    value: str
    scale: str
    step: str
    zero: int
    low: int
    high: int
    clip: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class StoredGrid:
    """A tensor that is stored in integers.

    Attributes:
        value: the name of what `DequantizeLinear` makes.
        integers: the initializer.
        scale: the initializer of its scale.
        axis: of the channels with a scale each; ``None`` with one scale.
        zero: integers that stand for 0, of the scale's shape.
        low: the least integer.
        high: the greatest, inclusive.
        sources: for int32 biases, the scales of the layer's input and weight, whose product is the scale.
        layer: whose it is: a module path, or the operator's name.
        reader: the operator that computes with it, by name, and at which input.
        is_flipped: rows and columns are stored the other way round than the operator reads them.
    """

    value: str
    integers: str
    scale: str
    axis: int | None
    zero: Array
    low: int
    high: int
    sources: tuple[str, str] | None
    layer: str
    reader: tuple[str, int]
    is_flipped: bool


@dataclass(frozen=True, slots=True)
class Grids:
    """All of a graph.

    Attributes:
        activations: by the value that `QuantizeLinear` makes.
        stored: by the value that `DequantizeLinear` makes.
        aliases: values that are others under another name: behind `DequantizeLinear`, or behind a `Clip`
            that belongs to a grid.
        mirrors: by the scale of an activation, initializers that repeat it.
        steps: initial scales by initializer, float32.
    """

    activations: Mapping[str, ActivationGrid]
    stored: Mapping[str, StoredGrid]
    aliases: Mapping[str, str]
    mirrors: Mapping[str, tuple[str, ...]]
    steps: Mapping[str, Array]
