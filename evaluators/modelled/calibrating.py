"""Fits a target's figures to latencies that were measured there.

The model is the roofline of `evaluators.modelled.roofline`; what is fitted is one efficiency, one overhead
and three costs of traffic for each kind of kernel that the samples have, and the overhead of a call. Time is
linear in the inverse efficiencies and in the rest but for the larger of computing and moving, so that the fit
is one of least squares without negative values (Lawson and Hanson 1974), repeated with what memory bounds
known from the time before. The squared relative errors are minimised, with a weak pull towards what the
target declares, so that a kind that hardly occurs stays near it. The errors that are stored are of samples
that a fit had not seen: the samples are split into folds, and each is predicted by the fit to the others
(Stone 1974).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluators.modelled.roofline import Roofline
from evaluators.targets.calibration import TRAFFIC, Calibration
from evaluators.targets.hardware import CALL, by_kernel
from spaces import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evaluators.modelled.graph_costs import KernelCost
    from evaluators.targets import Target

LEAST_SAMPLES: Final = 8
FOLDS: Final = 8
PULL: Final = 1e-3
"""Weight of a figure's distance from what is declared, against one relative error: both as shares of a
latency, of the sample in which the figure counts most."""

ROUNDS: Final = 12
"""Most repetitions until what memory bounds stays as it is; two or three do."""

HIGH_EFFICIENCY: Final = 50.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """An artifact with its measured latency.

    Attributes:
        costs: of `evaluators.modelled.graph_costs.read_costs`.
        latency_ms: of a call; above 0.
    """

    costs: Sequence[KernelCost]
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Errors:
    """How well latencies were predicted.

    Attributes:
        mape: mean absolute error, a share of the measured latency.
        tau: Kendall's rank correlation (tau-b); 1 of a single sample, or of samples that are all alike.
        error_95: that 95 % of the errors do not exceed, a share.
    """

    mape: float
    tau: float
    error_95: float


def calibrate(
    target: Target, samples: Sequence[Sample], fingerprint: Mapping[str, Any] | None = None
) -> Target:
    """The target with its calibration.

    Args:
        target: with figures; an earlier calibration is not looked at.
        samples: at least `LEAST_SAMPLES`.
        fingerprint: of the machine that they were measured on.

    Raises:
        InvalidValue: there are too few samples, or a latency is not above 0.
    """
    if len(samples) < LEAST_SAMPLES:
        raise InvalidValue.at(
            "", f"{len(samples)} samples are too few to calibrate with; measure at least {LEAST_SAMPLES}"
        )
    for index, sample in enumerate(samples):
        if not sample.latency_ms > 0:
            raise InvalidValue.at(f"/{index}/latency_ms", f"must be above 0, not {sample.latency_ms!r}")
    fit = _Fit(replace(target, calibration=None), samples)
    everything = np.arange(len(samples))
    unseen: Floats = np.empty(len(samples))
    for fold in range(min(FOLDS, len(samples))):
        held = everything[fold :: min(FOLDS, len(samples))]
        unseen[held] = fit.predict(fit.solve(np.setdiff1d(everything, held)), held)
    found = errors(unseen, np.array([sample.latency_ms for sample in samples]))
    efficiency, overhead, traffic = fit.tables(fit.solve(everything))
    calibration = Calibration(
        efficiency,
        overhead,
        found.mape,
        found.tau,
        found.error_95,
        len(samples),
        dict(fingerprint or {}),
        traffic,
    )
    return replace(target, calibration=calibration)


def errors(predicted: Floats, measured: Floats) -> Errors:
    """How well latencies were predicted; both of shape ``(n,)``, in the same unit, n at least 1."""
    from scipy.stats import kendalltau

    relative = np.abs(predicted / measured - 1)
    tau = kendalltau(predicted, measured).statistic if len(measured) > 1 else 1.0
    return Errors(
        float(relative.mean()), 1.0 if np.isnan(tau) else float(tau), float(np.quantile(relative, 0.95))
    )


class _Fit:
    """All kernels of all samples in arrays.

    The parameters are, for ``k`` kinds of kernels: ``k`` inverse efficiencies, ``k`` overheads in
    microseconds, three times ``k`` microseconds of traffic, and the overhead of a call.
    """

    def __init__(self, target: Target, samples: Sequence[Sample]) -> None:
        self._target = target
        roofline = Roofline(target)
        times = [roofline.times(sample.costs) for sample in samples]
        self._measured_us = np.array([sample.latency_ms * 1e3 for sample in samples])
        self._kinds = sorted({(time.op, time.dtype) for found in times for time in found})
        order = {kind: index for index, kind in enumerate(self._kinds)}
        self._sample = np.array([i for i, found in enumerate(times) for _ in found])
        self._kind = np.array([order[time.op, time.dtype] for found in times for time in found])
        self._compute = np.array([time.compute_us for found in times for time in found])
        self._memory = np.array([time.memory_us for found in times for time in found])
        self._traffic = np.array([time.traffic for found in times for time in found])
        declared = [1 / by_kernel(target.efficiency, *kind) for kind in self._kinds]
        waits = [by_kernel(target.overhead_us, *kind) for kind in self._kinds]
        call = target.overhead_us.get(CALL, 0.0)
        self._declared = np.array([*declared, *waits, *[0.0] * len(TRAFFIC) * len(self._kinds), call])

    def solve(self, chosen: NDArray[np.int64]) -> Floats:
        """The parameters that fit some of the samples best."""
        from scipy.optimize import nnls

        lowest = np.zeros(len(self._declared))
        lowest[: len(self._kinds)] = 1 / HIGH_EFFICIENCY
        measured = self._measured_us[chosen]
        bound = np.zeros(len(self._sample), dtype=bool)
        best, least = self._declared, np.inf
        for _ in range(ROUNDS):
            columns, known = self._linear(bound)
            shares = columns[chosen] / measured[:, None]
            scale = np.where(shares.max(axis=0) > 0, shares.max(axis=0), 1.0)
            rest = 1 - known[chosen] / measured - shares @ lowest
            pull = PULL * np.diag(scale)
            solution, _ = nnls(
                np.vstack([shares, pull]) / np.tile(scale, (len(shares) + len(scale), 1)),
                np.concatenate([rest, pull @ np.maximum(self._declared - lowest, 0)]),
            )
            parameters = lowest + solution / scale
            error = float(np.square(self._predict_us(parameters)[chosen] / measured - 1).sum())
            if error < least:
                best, least = parameters, error
            now = self._bound(parameters)
            if (now == bound).all():
                break
            bound = now
        return best

    def predict(self, parameters: Floats, chosen: NDArray[np.int64]) -> Floats:
        """Milliseconds of some samples."""
        predicted: Floats = self._predict_us(parameters)[chosen] / 1e3
        return predicted

    def tables(
        self, parameters: Floats
    ) -> tuple[dict[str, float], dict[str, float], dict[str, tuple[float, float, float]]]:
        """Efficiency, overhead and traffic as a target has them; what no sample shows stays as declared."""
        kinds = len(self._kinds)
        efficiency, overhead = dict(self._target.efficiency), dict(self._target.overhead_us)
        traffic = {}
        moving = 1e3 * parameters[2 * kinds : -1].reshape(kinds, len(TRAFFIC))
        for index, (op, dtype) in enumerate(self._kinds):
            efficiency[f"{op}/{dtype}"] = _short(1 / parameters[index])
            overhead[f"{op}/{dtype}"] = _short(parameters[kinds + index])
            if moving[index].any():
                inputs, weights, outputs = map(_short, moving[index])
                traffic[f"{op}/{dtype}"] = inputs, weights, outputs
        overhead[CALL] = _short(parameters[-1])
        return efficiency, overhead, traffic

    def _linear(self, bound: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """What each parameter counts in each sample, and the time of kernels that memory bounds."""
        samples, kinds = len(self._measured_us), len(self._kinds)
        columns = np.zeros((samples, len(self._declared)))
        working = np.where(self._compute > 0, self._compute, self._memory)
        np.add.at(columns, (self._sample, self._kind), np.where(bound, 0.0, working))
        np.add.at(columns, (self._sample, kinds + self._kind), 1.0)
        for index in range(len(TRAFFIC)):
            place = 2 * kinds + len(TRAFFIC) * self._kind + index
            np.add.at(columns, (self._sample, place), np.where(bound, 0.0, self._traffic[:, index]))
        columns[:, -1] = 1.0
        known = np.zeros(samples)
        np.add.at(known, self._sample, np.where(bound, self._memory, 0.0))
        return columns, known

    def _bound(self, parameters: Floats) -> NDArray[np.bool_]:
        """Kernels that compute, and take longer to move."""
        kinds = len(self._kinds)
        moving = parameters[2 * kinds : -1].reshape(kinds, len(TRAFFIC))[self._kind]
        computing = self._compute * parameters[self._kind] + (self._traffic * moving).sum(axis=1)
        bound: NDArray[np.bool_] = (self._compute > 0) & (self._memory > computing)
        return bound

    def _predict_us(self, parameters: Floats) -> Floats:
        columns, known = self._linear(self._bound(parameters))
        total: Floats = columns @ parameters + known
        return total


def _short(value: Any) -> float:
    """Four digits are more than a fit knows."""
    return float(f"{float(value):.4g}")
