"""What a search benchmark is played on: discrete axes, exact costs, an accuracy that must be evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import moocore
import numpy as np

if TYPE_CHECKING:
    from search.samplers.guided import Problem
    from search.sweep import Floats


class Setting(Protocol):
    """One problem for one seed.

    Attributes:
        name: for tables.
        axes: choices by axis, from mild (0) to severe.
        anchors: points that come first where a method starts from anchors.
        charge: evaluations that the profile costs, rounded up.
        best: the reference's accuracy.
        key: changes with whatever evaluations depend on.
    """

    name: str
    axes: dict[str, int]
    anchors: list[tuple[int, ...]]
    charge: int
    best: float
    key: str

    def evaluate(self, point: tuple[int, ...]) -> tuple[float, ...]:
        """Accuracy as it is, then costs as shares of the reference's."""
        ...

    def problem(self, profile: str) -> Problem:
        """What the guided sampler is told, with a profile of some kind, such as ``good`` or ``none``."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """One method on one setting.

    Attributes:
        values: ``trials x objectives``, in order: what was evaluated, as shares of the reference's.
        charge: evaluations that were spent before the first trial.
        points: what was evaluated, in the same order; empty where nobody asks.
    """

    values: tuple[tuple[float, ...], ...]
    charge: int = 0
    points: tuple[tuple[int, ...], ...] = ()

    def hypervolume(self, budget: int) -> float:
        """Of the trials that a budget pays for, the charge included; 0 before the first."""
        paid = np.array(self.values[: max(budget - self.charge, 0)], dtype=np.float64)
        return shared_hypervolume(paid)

    def trials_to(self, level: float) -> float:
        """The smallest budget of that hypervolume; infinite where the run never has it."""
        low, high = 0, len(self.values) + self.charge
        if self.hypervolume(high) < level:
            return float("inf")
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.hypervolume(middle) >= level else (middle + 1, high)
        return float(low)


def shared_hypervolume(values: Floats) -> float:
    """The share of the reference's box that trials dominate, as `search.pareto` has it."""
    if not len(values):
        return 0.0
    shares = np.column_stack([1 - values[:, 0], values[:, 1:]])
    inside = shares[(shares < 1).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=np.ones(shares.shape[1]))) if len(inside) else 0.0
