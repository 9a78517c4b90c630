"""The arithmetic of integer formats, in numpy: scales, zero points, rounding. Knows no graph and no data.

A real number r is stored as the integer q with ``r = scale * (q - zero_point)`` (Jacob et al. 2018, eq. 1);
rounding is to the nearest, halves to even, as ONNX's QuantizeLinear has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spaces import WeightFormat

Array = NDArray[Any]

REDUCED_LIMIT: Final = 64
"""Magnitude of 8-bit weights under ``reduce_range``: two products with 8-bit activations fit 16 bits."""

_SMALLEST: Final = float(np.finfo(np.float32).tiny)


def weight_limits(bits: int, *, symmetric: bool = True, reduce_range: bool = False) -> tuple[int, int]:
    """The least and greatest integer of a weight.

    Args:
        bits: 2 to 8.
        symmetric: as many below zero as above, so one code of ``2**bits`` stays unused.
        reduce_range: bounds 8-bit weights by `REDUCED_LIMIT`; fewer bits stay as they are.
    """
    high = 2 ** (bits - 1) - 1
    if reduce_range and high > REDUCED_LIMIT:
        return -REDUCED_LIMIT, REDUCED_LIMIT
    return (-high, high) if symmetric else (-high - 1, high)


@dataclass(frozen=True, slots=True)
class QuantizedRows:
    """Integer weights, one row for each output channel.

    Attributes:
        integers: int8 ``rows x columns``.
        scale: float32, of shape ``()``, ``(rows,)`` or ``(rows, groups)``.
        zero_point: int8, of the scale's shape.
        group_size: columns that share a scale, or ``None``; the last group may be shorter.
    """

    integers: Array
    scale: Array
    zero_point: Array
    group_size: int | None = None

    def dequantize(self) -> Array:
        """The real numbers that the integers stand for, float32 ``rows x columns``."""
        scale, zero = self.spread(self.scale), self.spread(self.zero_point).astype(np.float32)
        values: Array = (self.integers.astype(np.float32) - zero) * scale
        return values

    def spread(self, parameter: Array) -> Array:
        """A scale or zero point in a shape that broadcasts over the integers."""
        if parameter.ndim == 2:  # noqa: PLR2004  # rows x groups
            repeated: Array = np.repeat(parameter, self.group_size or 1, axis=1)
            return repeated[:, : self.integers.shape[1]]
        return parameter[:, None] if parameter.ndim == 1 else parameter


def quantize_rows(rows: Array, form: WeightFormat, *, reduce_range: bool = False) -> QuantizedRows:
    """Rounds weights to the nearest integers of a format.

    Args:
        rows: float32 ``rows x columns``, finite; output channels first.
        form: of 2 to 8 bits; its granularity says what shares a scale.
        reduce_range: see `weight_limits`.

    Returns:
        Integers and parameters. Where every weight is zero (or too small for float32 scales) the scale is 1
        and the integers are zero. Symmetric formats keep zero at zero.
    """
    limits = weight_limits(form.bits, symmetric=form.symmetric, reduce_range=reduce_range)
    size = form.group_size if form.granularity == "group" else None
    if form.granularity == "tensor":
        low, high = rows.min(initial=0), rows.max(initial=0)
    elif size is None:
        low, high = rows.min(axis=1, initial=0), rows.max(axis=1, initial=0)
    else:
        starts = np.arange(0, rows.shape[1], size)
        low = np.minimum(np.minimum.reduceat(rows, starts, axis=1), 0)
        high = np.maximum(np.maximum.reduceat(rows, starts, axis=1), 0)
    scale, zero = affine_parameters(np.asarray(low), np.asarray(high), limits, symmetric=form.symmetric)
    empty = QuantizedRows(np.zeros(rows.shape, np.int8), scale, zero.astype(np.int8), size)
    integers = quantize_values(rows, empty.spread(scale), empty.spread(zero), limits)
    return QuantizedRows(integers.astype(np.int8), scale, empty.zero_point, size)


def affine_parameters(
    low: Array, high: Array, limits: tuple[int, int], *, symmetric: bool
) -> tuple[Array, Array]:
    """Scale and zero point that spread ranges over integers; zero is always an exact code.

    Args:
        low: least values, at most 0.
        high: greatest values, at least 0, of the same shape.
        limits: least and greatest integer.
        symmetric: the range is widened to the greater magnitude on both sides, and its zero point is 0.

    Returns:
        float32 scales and int32 zero points of the ranges' shape; empty ranges have scale 1.
    """
    least, greatest = limits
    wide = (np.maximum(-low, high) if symmetric else high - low).astype(np.float64)
    scale = (wide / (greatest if symmetric else greatest - least)).astype(np.float32)
    scale = np.where(scale < _SMALLEST, np.float32(1), scale).astype(np.float32)
    if symmetric:
        return scale, np.zeros(scale.shape, np.int32)
    zero = np.clip(np.rint(least - low.astype(np.float64) / scale), least, greatest)
    return scale, zero.astype(np.int32)


def activation_parameters(low: float, high: float, bits: int) -> tuple[np.float32, int]:
    """Scale and zero point of unsigned activations of ``0 … 2**bits - 1``, by tensor.

    Args:
        low: least value of the range; a range that lacks zero is extended to it.
        high: greatest value.
        bits: 2 to 8.
    """
    ends = np.asarray(min(low, 0.0)), np.asarray(max(high, 0.0))
    scale, zero = affine_parameters(*ends, (0, 2**bits - 1), symmetric=False)
    return np.float32(scale), int(zero)


def quantize_values(values: Array, scale: Any, zero_point: Any, limits: tuple[int, int]) -> Array:
    """``clip(round(values / scale) + zero_point)`` as int32; what lies outside the range saturates."""
    rounded = np.rint(values / scale) + zero_point
    integers: Array = np.clip(rounded, *limits).astype(np.int32)
    return integers
