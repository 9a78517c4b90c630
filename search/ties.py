"""Which members of a front are apart by no more than noise; fronts themselves are of points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaluators import TIE
from spaces import direction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spaces import Metric, Metrics

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def ties(front: Mapping[int, Metrics], objectives: Sequence[str]) -> dict[int, list[int]]:
    """For each member of a front, the others over which its every advantage may be chance.

    Such a member stands on the front by luck, perhaps: with a little noise the other would dominate it. Where
    both are in each other's list they cannot be told apart at all.

    Args:
        front: metrics by trial; all objectives among them.
        objectives: that are traded off.
    """
    numbers = np.array(list(front), dtype=np.int64)
    columns = [_Column.of(name, list(front.values())) for name in objectives]
    found = {}
    for index, number in enumerate(front):
        is_tied = ~np.any([column.is_clearly_better(index) for column in columns], axis=0)
        is_tied[index] = False
        found[number] = numbers[is_tied].tolist()
    return found


@dataclass(frozen=True, slots=True)
class _Column:
    """An objective of all members as arrays of n numbers: a front of hundreds has 100,000 pairs.

    Attributes:
        name: of the objective.
        costs: its values, negative where it is maximised.
        own: its values and their noise.
        drops: of accuracy, those of the drops.
    """

    name: str
    costs: Floats
    own: _Span
    drops: _Span | None

    @classmethod
    def of(cls, name: str, front: Sequence[Metrics]) -> _Column:
        sign = -1.0 if direction(name) == "maximize" else 1.0
        own = _Span.of([metrics[name] for metrics in front])
        drops = _Span.of([metrics.get("accuracy_drop") for metrics in front]) if name == "accuracy" else None
        return cls(name, sign * own.values, own, drops)

    def is_clearly_better(self, index: int) -> Flags:
        """A member is, than each of the others; see `is_clearly_better`."""
        clear = self.own.is_apart(index)
        if self.drops is not None and not np.isnan(self.drops.values[index]):
            clear = np.where(np.isnan(self.drops.values), clear, self.drops.is_apart(index))
        if self.name == "latency_ms":
            values = self.own.values
            clear &= np.abs(values - values[index]) > TIE * np.maximum(values, values[index])
        found: Flags = clear & (self.costs[index] < self.costs)
        return found


@dataclass(frozen=True, slots=True)
class _Span:
    """Values, NaN where there is none, and how far their intervals go down and up, 0 of exact numbers."""

    values: Floats
    down: Floats
    up: Floats

    @classmethod
    def of(cls, metrics: Sequence[Metric | None]) -> _Span:
        values = np.array([math.nan if metric is None else metric.value for metric in metrics])
        ends = [
            [0.0, 0.0] if metric is None else [_reach(metric, -math.inf), _reach(metric, math.inf)]
            for metric in metrics
        ]
        down, up = np.array(ends).reshape(-1, 2).T
        return cls(values, down, up)

    def is_apart(self, index: int) -> Flags:
        """A value is farther from each of the others than the noise of both."""
        gaps = self.values - self.values[index]
        ours = np.where(gaps < 0, self.down[index], self.up[index])
        theirs = np.where(gaps > 0, self.down, self.up)
        return np.asarray(np.abs(gaps) > np.hypot(ours, theirs))


def is_clearly_better(objective: str, one: Metrics, other: Metrics) -> bool:
    """One is better than the other in an objective, by more than the noise of both.

    Accuracies are compared by their drops where both have one: measured on the same examples as the
    reference, they vary less. Intervals at 95 % are combined as those of independent values, so that close
    candidates rather count as tied; latencies closer than 3 % are tied whatever their intervals.

    Args:
        objective: a metric of both.
        one: its metrics.
        other: those of the other.
    """
    name, ours, theirs = objective, one[objective], other[objective]
    better = ours.value > theirs.value if direction(objective) == "maximize" else ours.value < theirs.value
    if not better:
        return False
    if name == "accuracy" and "accuracy_drop" in one and "accuracy_drop" in other:
        ours, theirs = one["accuracy_drop"], other["accuracy_drop"]
    gap = abs(ours.value - theirs.value)
    if name == "latency_ms" and gap <= TIE * max(ours.value, theirs.value):
        return False
    return gap > math.hypot(_reach(ours, theirs.value), _reach(theirs, ours.value))


def _reach(metric: Metric, towards: float) -> float:
    """How far the interval goes from the value towards another; 0 of an exact number."""
    end = metric.low if towards < metric.value else metric.high
    return 0.0 if end is None else abs(end - metric.value)
