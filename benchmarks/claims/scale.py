"""The arithmetic of an int8 scale, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.claims.claim import Claim, Setting
from benchmarks.table import Row
from compression.quantization.numerics import quantize_rows
from spaces import WeightFormat

if TYPE_CHECKING:
    from collections.abc import Iterator


def _run(setting: Setting) -> Iterator[Row]:
    stored = quantize_rows(np.array([[3.4, 1.6, -0.5]], dtype=np.float32), WeightFormat(8, "tensor"))
    levels, integer = 1 / float(stored.scale), int(stored.integers[0, 1])
    yield Row(
        "levels a unit of a symmetric int8 tensor with max 3.4",
        "127/3.4 = 37.35",
        f"{levels:.2f}",
        holds=round(levels, 2) == 37.35,
    )
    yield Row("1.6 in it", "60", f"{integer}", holds=integer == 60)


INT8_SCALE = Claim(
    "int8-scale",
    "the scale of an int8 tensor with max 3.4 is 127/3.4, and 1.6 becomes 60",
    "textbook symmetric quantization",
    _run,
)
