"""What is derived anew after every few results: hyperparameters, costs, the profile's weight, sweeps.

It depends on the first results of a study alone, as many as fill whole steps, so that it is the same whether
it was kept from proposal to proposal or made again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import moocore
import numpy as np

from search.samplers.guided.candidates import corrected_weights, swept
from search.samplers.guided.history import grouped
from search.samplers.guided.surrogate import (
    MOST_POINTS,
    Features,
    Scale,
    fit_hyperparameters,
    rank_correlation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search.samplers.guided.history import History, Place
    from search.samplers.guided.problem import Problem
    from search.sweep import Floats

STEPS: Final = ((0, 4), (20, 5), (100, 10), (300, 50), (2_000, 500))
"""From how many results on it is derived anew after how many more."""

SWEEPS: Final = 1_500
TRUSTED: Final = (0.1, 0.8)
"""Rank correlations at which the profile's weight is 0 and 1."""

UNKNOWN_TRUST: Final = 0.4
"""The weight of losses that were guessed rather than measured, before results say more."""

SPREAD: Final = (0.3, 1.5)
"""Spread of random axis weights where the profile predicts perfectly, and where it does not at all."""

LEAST_FITTED: Final = 8


class Knowledge:
    """The state of a checkpoint.

    Args:
        problem: that is searched.
        history: its first results.
        seed: of the sweeps.

    Attributes:
        theta: the surrogate's hyperparameters; ``None`` before enough results.
        scale: of the uncertain objective.
        correlation: of predictions and results, by rank.
        profile_weight: 0 to 1.
        pool: the sweeps' points.
    """

    def __init__(self, problem: Problem, history: History, seed: int) -> None:
        self._problem = problem
        table = history.table()
        kept = selected(table, problem)
        places, values = [history.places[row] for row in kept], table[kept]
        self._features = Features(problem)
        uncertain = values[:, problem.uncertain] if len(values) else np.zeros(0)
        self.scale = Scale(
            maximized=problem.maximized, is_share=bool(((uncertain >= 0) & (uncertain <= 1)).all())
        )
        self._worst, self._best = _ends(uncertain, problem)
        observed = np.delete(values, problem.uncertain, axis=1) if len(values) else np.zeros((0, 0))
        self._observe_costs(places, observed)
        errors = self.scale.to(uncertain)
        self._weigh(places, errors)
        self.theta: Floats | None = None
        if len(places) >= LEAST_FITTED:
            self.theta = fit_hyperparameters(self.rows(places), errors)
        low, high = SPREAD
        self.pool = swept(
            problem,
            self._costs,
            self._weights,
            SWEEPS,
            high - (high - low) * self.profile_weight,
            np.random.default_rng([seed, len(history.places)]),
        )

    @property
    def is_constrained(self) -> bool:
        """A bound holds for some objective."""
        return self._problem.bound is not None or bool(np.isfinite(self._problem.cost_bounds).any())

    def rows(self, places: Sequence[Place]) -> Floats:
        """The surrogate's features."""
        parts = [
            (rows, self._features.of(branch, points))
            for branch, (rows, points) in enumerate(grouped(places, self._problem))
        ]
        result = np.zeros((len(places), parts[0][1].shape[1]))
        for rows, features in parts:
            result[rows] = features
        return result

    def costs(self, places: Sequence[Place]) -> Floats:
        """What places are expected to cost, ``n x m``."""
        parts = grouped(places, self._problem)
        found = [(rows, self._costs[branch](points)) for branch, (rows, points) in enumerate(parts)]
        result = np.zeros((len(places), found[0][1].shape[1]))
        for rows, values in found:
            result[rows] = values
        return result

    def relative(self, costs: Floats) -> Floats:
        """Costs as shares of the worst that counts."""
        shares: Floats = costs / self._scales
        return shares

    def error_shares(self, values: Floats) -> Floats:
        """The uncertain objective as a share of the worst that counts: 0 the best."""
        shares: Floats = (self._best - values) / (self._best - self._worst)
        return shares

    def meets(self, values: Floats, costs: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Whether bounds are kept, by value; values may have one column more than costs have rows."""
        bounds = np.asarray(self._problem.cost_bounds or (np.inf,) * costs.shape[1])
        cheap = (costs <= bounds).all(axis=1)
        cheap = cheap.reshape(-1, *[1] * (values.ndim - 1))
        if self._problem.bound is None:
            return cheap & np.ones(values.shape, dtype=bool)
        good = values >= self._problem.bound if self._problem.maximized else values <= self._problem.bound
        return cheap & good

    def coordinates(self, places: Sequence[Place]) -> Floats:
        """Predicted loss, by its logarithm, and costs: what seeds are to differ in."""
        losses = np.zeros(len(places))
        for branch, (rows, points) in enumerate(grouped(places, self._problem)):
            losses[rows] = np.log(self._problem.branches[branch].predicted(points))
        return np.column_stack([losses, self.relative(self.costs(places))])

    def _observe_costs(self, places: Sequence[Place], observed: Floats) -> None:
        parts = grouped(places, self._problem)
        self._costs = [
            branch.costs.fitted(points, observed[rows] if len(rows) else np.zeros((0, 0)))
            for branch, (rows, points) in zip(self._problem.branches, parts, strict=True)
        ]
        mildest = [
            costs(np.zeros((1, len(branch.axes)), dtype=np.int64))
            for costs, branch in zip(self._costs, self._problem.branches, strict=True)
        ]
        worst = np.max(np.concatenate([*mildest, observed] if len(observed) else mildest), axis=0)
        self._scales = np.asarray(self._problem.scales if self._problem.scales is not None else worst)

    def _weigh(self, places: Sequence[Place], errors: Floats) -> None:
        """The profile's weight, and that of each axis's losses."""
        counts, correlations = [], []
        self._weights = []
        for branch, (rows, points) in zip(
            self._problem.branches, grouped(places, self._problem), strict=True
        ):
            weights = np.ones(len(branch.axes))
            if len(rows) >= LEAST_FITTED:
                predicted = branch.predicted(points)
                counts.append(len(rows))
                correlations.append(rank_correlation(predicted, errors[rows]))
                weights = corrected_weights(branch, points, _as_losses(predicted, errors[rows]))
            self._weights.append(weights)
        low, high = TRUSTED
        if counts:
            self.correlation = float(np.average(correlations, weights=counts))
            self.profile_weight = float(np.clip((self.correlation - low) / (high - low), 0.0, 1.0))
        else:
            self.correlation = 1.0
            self.profile_weight = 1.0 if self._problem.is_profiled else UNKNOWN_TRUST


def checkpoint_size(count: int) -> int:
    """How many of `count` results fill whole steps."""
    start, step = next((start, step) for start, step in reversed(STEPS) if count >= start)
    return start + (count - start) // step * step


def selected(table: Floats, problem: Problem) -> list[int]:
    """Rows that the surrogate is conditioned on: all, or the front and the latest where they are too many."""
    if len(table) <= MOST_POINTS:
        return list(range(len(table)))
    signs = np.ones(table.shape[1])
    signs[problem.uncertain] = -1.0 if problem.maximized else 1.0
    front = np.flatnonzero(moocore.is_nondominated(table * signs))
    kept = set(front[-MOST_POINTS // 2 :].tolist())
    for row in range(len(table) - 1, -1, -1):
        if len(kept) >= MOST_POINTS:
            break
        kept.add(row)
    return sorted(kept)


def _ends(values: Floats, problem: Problem) -> tuple[float, float]:
    """The worst value that counts and the best, of the uncertain objective; never equal."""
    is_share = bool(((values >= 0) & (values <= 1)).all())
    if problem.maximized:
        worst = 0.0 if is_share else float(values.min())
        best = float(values.max(initial=worst)) if problem.best is None else problem.best
        return worst, best if best > worst else worst + 1.0
    worst = float(values.max(initial=0.0))
    best = 0.0 if is_share or values.min(initial=0.0) >= 0 else float(values.min())
    return worst if worst > best else best + 1.0, best


def _as_losses(predicted: Floats, errors: Floats) -> Floats:
    """Errors in the scale of predicted losses, whose logarithm is taken as linear in them."""
    if np.ptp(errors) == 0:
        return predicted
    slope, intercept = np.polyfit(errors, np.log(predicted), 1)
    return np.asarray(np.exp(intercept + max(float(slope), 0.0) * errors))
