"""A Gaussian process for the objective that must be evaluated: what is known of a point, and how surely."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor

from search.samplers.guided.kernel import policy_kernel, scaled

if TYPE_CHECKING:
    from collections.abc import Callable

    from search.samplers.guided.problem import Problem
    from search.sweep import Floats, Ints

FIT_POINTS: Final = 160
"""Results that hyperparameters are fitted to; more cost seconds and change little."""

MOST_POINTS: Final = 320
"""Results that the process is conditioned on; beyond them those near the front and the latest stay."""

ITERATIONS: Final = 30
LEAST_ERROR: Final = 5e-4
WIDEST: Final = 4.0
JITTER: Final = 1e-8
LEAST_RANKED: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """What is expected of some points, in the scale of `Scale`.

    Attributes:
        mean: ``n``.
        deviation: ``n``, above 0, calibrated.
    """

    mean: Floats
    deviation: Floats


class Scale:
    """Errors, minimised, in a scale where noise is even: the logit where values are shares, else as is.

    Args:
        maximized: larger values are better.
        is_share: all values lie in [0, 1].
    """

    def __init__(self, *, maximized: bool, is_share: bool) -> None:
        self._maximized, self._is_share = maximized, is_share

    def to(self, values: Floats) -> Floats:
        """Objective values in the scale."""
        if not self._is_share:
            return -values if self._maximized else values
        errors = np.clip(1 - values if self._maximized else values, LEAST_ERROR, 1 - LEAST_ERROR)
        logits: Floats = np.log(errors) - np.log1p(-errors)
        return logits

    def back(self, scaled_values: Floats) -> Floats:
        """Objective values from the scale."""
        if not self._is_share:
            return -scaled_values if self._maximized else scaled_values
        errors = 1 / (1 + np.exp(-scaled_values))
        values: Floats = 1 - errors if self._maximized else errors
        return values


class Features:
    """Describes points of all branches by rows of equal length.

    Args:
        problem: of the branches.
    """

    def __init__(self, problem: Problem) -> None:
        self._branches = problem.branches
        widths = [2 * len(branch.axes) for branch in self._branches]
        self._starts = np.cumsum([1 + len(widths), *widths])
        low = min(np.log(branch.base_loss) for branch in self._branches)
        high = max(
            np.log(branch.base_loss + sum(losses.max() for losses in branch.losses))
            for branch in self._branches
        )
        self._low, self._range = low, max(high - low, 1e-9)

    def of(self, index: int, points: Ints) -> Floats:
        """Rows for points ``n x axes`` of a branch.

        Column 0 is the logarithm of the predicted loss, over the range that it can have; the others tell the
        branch, and for each axis the relative loss and the squared severity, scaled by the number of axes.
        """
        branch = self._branches[index]
        count = len(branch.axes)
        rows = np.zeros((len(points), int(self._starts[-1])))
        rows[:, 0] = 4 * (np.log(branch.predicted(points)) - self._low) / self._range - 2
        if len(self._branches) > 1:
            rows[:, 1 + index] = 1.0
        start = int(self._starts[index])
        typical = max(float(np.median([losses.max() for losses in branch.losses])), 1e-12)
        added = np.log1p(branch.look_up(branch.added, points) / typical)
        rows[:, start : start + count] = added / np.sqrt(max(count, 1))
        squared = np.square(branch.look_up(branch.severity, points))
        rows[:, start + count : start + 2 * count] = 2 * squared / np.sqrt(max(count, 1))
        return rows


class Surrogate:
    """A Gaussian process conditioned on results.

    Args:
        rows: ``n x d`` of `Features`, at least two.
        values: ``n`` in the scale; all finite.
        theta: hyperparameters of `fit_hyperparameters`; ``None`` takes the kernel's own.
    """

    def __init__(self, rows: Floats, values: Floats, theta: Floats | None = None) -> None:
        kernel = policy_kernel()
        if theta is not None:
            kernel = kernel.clone_with_theta(theta)
        targets, self._mean, self._spread = scaled(values)
        self._process = GaussianProcessRegressor(kernel, alpha=JITTER, optimizer=None, copy_X_train=False)
        self._process.fit(rows, targets)
        self.inflation = self._calibrated(targets)

    def at(self, rows: Floats) -> Posterior:
        """What is expected of points that were not evaluated, measurement noise left out."""
        process: Any = self._process
        covariance = process.kernel_.k1(rows, process.X_train_)
        mean = covariance @ process.alpha_
        solved = solve_triangular(process.L_, covariance.T, lower=True, check_finite=False)
        variance = np.maximum(process.kernel_.k1.diag(rows) - np.square(solved).sum(axis=0), 1e-6)
        deviation = np.sqrt(variance) * self.inflation * self._spread
        return Posterior(self._mean + self._spread * mean, deviation)

    def _calibrated(self, targets: Floats) -> float:
        """By how much deviations must be widened so that left-out results lie where they are expected.

        Leave-one-out residuals in closed form (Rasmussen & Williams 2006, eqs. 5.10-5.12).
        """
        process: Any = self._process
        inverse = np.diag(cho_solve((process.L_, True), np.eye(len(targets))))
        residuals = process.alpha_ / np.sqrt(inverse)
        return float(np.clip(np.sqrt(np.mean(np.square(residuals))), 1.0, WIDEST))


def fit_hyperparameters(rows: Floats, values: Floats) -> Floats:
    """The kernel's hyperparameters of the greatest likelihood, by L-BFGS from fixed starting values.

    Args:
        rows: ``n x d``; the last `FIT_POINTS` of them are used.
        values: ``n`` in the scale.
    """
    rows, (targets, _, _) = rows[-FIT_POINTS:], scaled(values[-FIT_POINTS:])

    def optimize(objective: Callable[..., Any], start: Floats, bounds: Floats) -> tuple[Floats, float]:
        found = minimize(
            objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": ITERATIONS}
        )
        return found.x, float(found.fun)

    process = GaussianProcessRegressor(policy_kernel(), alpha=JITTER, optimizer=optimize)
    with warnings.catch_warnings():
        # a weight at its bound is no fault: a part of the kernel that explains nothing goes there
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(rows, targets)
    theta: Floats = process.kernel_.theta
    return theta


def rank_correlation(predicted: Floats, observed: Floats) -> float:
    """Spearman's, of predictions and results; 1 where either is constant, since nothing speaks against it."""
    if len(predicted) < LEAST_RANKED or np.ptp(predicted) == 0 or np.ptp(observed) == 0:
        return 1.0
    return float(spearmanr(predicted, observed).statistic)
