"""Two models on the same examples: how far apart they are, and whether chance explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from evaluators.backends import Array

Z: Final = 1.959963984540054
"""Of the normal distribution at 95 %, two-sided."""

STEPS: Final = 60
"""Halvings of an interval of length 1: beyond double precision."""


@dataclass(frozen=True, slots=True)
class Discordant:
    """Examples on which one of two models is right.

    Attributes:
        first: that the first alone answers rightly.
        second: that the second alone does.
        count: of all examples.
    """

    first: int
    second: int
    count: int

    @classmethod
    def of(cls, first: Array, second: Array) -> Discordant:
        """From each model's flags, right or wrong; ``n``."""
        right = first.astype(bool), second.astype(bool)
        return cls(int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum()), len(first))

    @property
    def p_value(self) -> float:
        """Chance of a split at least as uneven if both models were equally good: McNemar's exact test.

        Binomial and two-sided (McNemar 1947; Fagerland, Lydersen & Laake 2013), so it holds for any counts;
        1 where the models never differ.
        """
        total = self.first + self.second
        tail = sum(math.comb(total, k) for k in range(min(self.first, self.second) + 1))
        return min(1.0, 2 * tail / (1 << total))

    def interval(self) -> tuple[float, float]:
        """95 % interval of first minus second, as fractions: Tango's score interval (1998).

        It holds for small counts, too: where the models never differ among n examples it is about ±3.8/n.
        """
        middle = (self.first - self.second) / self.count
        low = _root(lambda delta: self._score(delta) - Z, -1.0, middle)
        return low, _root(lambda delta: self._score(delta) + Z, middle, 1.0)

    def _score(self, delta: float) -> float:
        """Standard deviations between what was seen and a true difference; falls as it grows."""
        n, seen = self.count, self.first - self.second
        a, b, c = 2 * n, (2 * n - seen) * delta - self.first - self.second, -self.second * delta * (1 - delta)
        second = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)  # its share, given the difference
        variance = n * (2 * second + delta * (1 - delta))
        off = seen - n * delta
        return off / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, off)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function crosses zero between two points, by bisection."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        if function(middle) > 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2
