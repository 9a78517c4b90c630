"""What the guided sampler believes after some results, and what a candidate is expected to gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import moocore
import numpy as np

from search.samplers.guided.history import grouped
from search.samplers.guided.improvement import Improvement, gauss_nodes
from search.samplers.guided.knowledge import Knowledge, selected
from search.samplers.guided.surrogate import WIDEST, Surrogate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search.samplers.guided.history import History, Place
    from search.samplers.guided.problem import Problem
    from search.samplers.guided.surrogate import Posterior
    from search.sweep import Floats

SWEPT: Final = (60, 300)
"""Candidates from sweeps where the profile does not predict at all, and where it does perfectly."""

EXPLORED: Final = (0.03, 0.3)
"""Share of exploring proposals where the surrogate's deviations are right, and where far too small."""

OPTIMISM: Final = 2.0
INFEASIBLE_SHARE: Final = 0.01
"""What a gain counts that breaks a constraint: enough to go on where all do, too little to be preferred."""

FAILING_SHARE: Final = 0.05
FAILURES: Final = 2


@dataclass(frozen=True, slots=True)
class Insight:
    """What a proposal was based on.

    Attributes:
        results: completed trials that were known.
        correlation: rank correlation of the profile's predictions with results, -1 to 1.
        profile_weight: share of trust that the profile has, 0 to 1; falls with the correlation.
        inflation: factor by which the surrogate's deviations had to be widened, at least 1.
        exploration: share of proposals that explore.
    """

    results: int
    correlation: float
    profile_weight: float
    inflation: float
    exploration: float


class Belief:
    """The surrogate and the front at one moment.

    Args:
        problem: that is searched.
        history: with at least two results.
        known: of an earlier checkpoint.
    """

    def __init__(self, problem: Problem, history: History, known: Knowledge) -> None:
        self._problem, self._known = problem, known
        table = history.table()
        kept = selected(table, problem)
        places = [history.places[row] for row in kept]
        values = table[kept]
        scale = known.scale
        rows, errors = known.rows(places), scale.to(values[:, problem.uncertain])
        surrogate = Surrogate(rows, errors, known.theta)
        costs = np.delete(values, problem.uncertain, axis=1)
        if history.pending:
            # Kriging believer (Ginsbourger et al. 2010): what runs is taken to end as expected.
            waiting = known.rows(history.pending)
            fantasies = surrogate.at(waiting).mean
            surrogate = Surrogate(
                np.concatenate([rows, waiting]), np.concatenate([errors, fantasies]), known.theta
            )
            places = [*places, *history.pending]
            errors = np.concatenate([errors, fantasies])
            costs = np.concatenate([costs, known.costs(history.pending)])
        self._surrogate = surrogate
        shares, relative = known.error_shares(scale.back(errors)), known.relative(costs)
        on_front = moocore.is_nondominated(np.column_stack([shares, relative]))
        self.front = [place for place, is_member in zip(places, on_front, strict=True) if is_member]
        self._free = Improvement(shares[on_front], relative[on_front])
        self._feasible: Improvement | None = None
        if known.is_constrained:
            meets = known.meets(scale.back(errors), costs)
            self._feasible = Improvement(shares[meets], relative[meets])
        self._failing = _failing(problem, history)
        trust, inflation = known.profile_weight, surrogate.inflation
        low, high = EXPLORED
        explored = low + (high - low) * min(1.0, (inflation - 1) / (WIDEST / 2 - 1))
        self.insight = Insight(len(history.places), known.correlation, trust, inflation, explored)

    def chosen(self, pool: Sequence[Place], draw: np.random.Generator) -> list[Place]:
        """A part of the sweeps' points, the larger the better the profile predicts."""
        low, high = SWEPT
        count = round(low + (high - low) * self._known.profile_weight)
        if len(pool) <= count:
            return list(pool)
        return [pool[at] for at in draw.choice(len(pool), count, replace=False)]

    def gains(self, candidates: Sequence[Place], *, optimistic: bool = False) -> Floats:
        """What each candidate alone is expected to add to the front's hypervolume, constraints first.

        Args:
            candidates: to compare.
            optimistic: what is added if the error is two deviations better than expected.
        """
        posterior = self._surrogate.at(self._known.rows(candidates))
        raw = self._known.costs(candidates)
        costs = self._known.relative(raw)
        values, weights = self._quadrature(posterior, optimistic=optimistic)
        errors = self._known.error_shares(values)
        gains = self._free.expected(errors, weights, costs)
        if self._feasible is not None:
            meets = self._known.meets(values, raw)
            feasible = self._feasible.expected(np.where(meets, errors, 1.0), weights, costs)
            gains = feasible + INFEASIBLE_SHARE * gains
        if self._failing:
            gains *= [FAILING_SHARE if self._is_failing(place) else 1.0 for place in candidates]
        return gains

    def _quadrature(self, posterior: Posterior, *, optimistic: bool) -> tuple[Floats, Floats]:
        nodes, weights = (np.array([-OPTIMISM]), np.ones(1)) if optimistic else gauss_nodes()
        exact = posterior.mean[:, None] + posterior.deviation[:, None] * nodes[None, :]
        return self._known.scale.back(exact), weights

    def _is_failing(self, place: Place) -> bool:
        branch, point = place
        return any((branch, axis, choice) in self._failing for axis, choice in enumerate(point))


def _failing(problem: Problem, history: History) -> set[tuple[int, int, int]]:
    """Choices that failed at least twice and never worked, by branch and axis."""
    counts: dict[tuple[int, int, int], int] = {}
    for branch, point in history.failed:
        for axis, choice in enumerate(point):
            counts[branch, axis, choice] = counts.get((branch, axis, choice), 0) + 1
    suspects = {key for key, count in counts.items() if count >= FAILURES}
    if suspects:
        for branch, (_, points) in enumerate(grouped(history.places, problem)):
            suspects -= {key for key in suspects if key[0] == branch and (points[:, key[1]] == key[2]).any()}
    return suspects
