"""What a study's trials say of a problem: results, points that wait for theirs, and points that failed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import TrialState

from search.samplers.study import SKIPPED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from optuna.trial import FrozenTrial

    from search.samplers.guided.problem import Problem
    from search.sweep import Floats, Ints

Place = tuple[int, tuple[int, ...]]
"""A branch and the choice on each of its axes."""


@dataclass
class History:
    """The trials of a study as numbers.

    Attributes:
        places: of the completed trials.
        values: their objective values, all finite, signed so that costs are minimised.
        numbers: of these trials, ascending.
        pending: places that are being evaluated.
        failed: places that ended without values.
        skipped: places that were not evaluated, with nothing wrong about them.
    """

    places: list[Place] = field(default_factory=list)
    values: list[tuple[float, ...]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    pending: list[Place] = field(default_factory=list)
    failed: list[Place] = field(default_factory=list)
    skipped: list[Place] = field(default_factory=list)

    @property
    def seen(self) -> set[Place]:
        """All places that need not be proposed again."""
        return {*self.places, *self.pending, *self.failed, *self.skipped}

    def table(self) -> Floats:
        """``n x objectives``."""
        return np.array(self.values or np.zeros((0, 1)), dtype=np.float64)


class Reader:
    """Reads a study again and again; ended trials are read once.

    Args:
        problem: whose axes the trials have.
        signs: 1 or -1 for each objective.
    """

    def __init__(self, problem: Problem, signs: Sequence[float]) -> None:
        self._problem, self._signs = problem, tuple(signs)
        self._ended: dict[int, tuple[Place | None, tuple[float, ...] | None]] = {}

    def read(self, trials: Sequence[FrozenTrial], asking: int) -> History:
        """The history, without the trial that is being asked for."""
        history = History()
        for trial in trials:
            if trial.number == asking:
                continue
            if trial.state.is_finished():
                place, values = self._read_ended(trial)
                if place is None:
                    continue
                if values is None:
                    (history.skipped if SKIPPED in trial.system_attrs else history.failed).append(place)
                else:
                    history.places.append(place)
                    history.values.append(values)
                    history.numbers.append(trial.number)
            elif (place := self._place(trial)) is not None:
                history.pending.append(place)
        return history

    def _read_ended(self, trial: FrozenTrial) -> tuple[Place | None, tuple[float, ...] | None]:
        if trial.number not in self._ended:
            values = None
            if trial.state is TrialState.COMPLETE and all(math.isfinite(value) for value in trial.values):
                values = tuple(sign * value for sign, value in zip(self._signs, trial.values, strict=True))
            self._ended[trial.number] = self._place(trial), values
        return self._ended[trial.number]

    def _place(self, trial: FrozenTrial) -> Place | None:
        """Where a trial stands; ``None`` where it lacks an axis."""
        indices = _indices(trial)
        choice = self._problem.choice
        branch = 0 if choice is None else indices.get(choice, -1)
        if not 0 <= branch < len(self._problem.branches):
            return None
        space = self._problem.branches[branch]
        found = tuple(indices.get(axis, -1) for axis in space.axes)
        fits = all(0 <= index < size for index, size in zip(found, space.sizes, strict=True))
        return (branch, found) if fits else None


def _indices(trial: FrozenTrial) -> Mapping[str, int]:
    """The position of each parameter's value among its choices."""
    found = {}
    for name, distribution in trial.distributions.items():
        internal: Any = distribution.to_internal_repr(trial.params[name])
        low = getattr(distribution, "low", 0)
        step = getattr(distribution, "step", None) or 1
        found[name] = round((internal - low) / step)
    return found


def grouped(places: Sequence[Place], problem: Problem) -> list[tuple[Ints, Ints]]:
    """For each branch: positions among the places, and the points there, ``n x axes``."""
    result = []
    for branch, space in enumerate(problem.branches):
        rows = [row for row, (own, _) in enumerate(places) if own == branch]
        points = np.array([places[row][1] for row in rows], dtype=np.int64).reshape(
            len(rows), len(space.axes)
        )
        result.append((np.array(rows, dtype=np.int64), points))
    return result
