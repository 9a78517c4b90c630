"""Fits a target's efficiency and overhead to latencies that were measured there.

The model is the roofline of `evaluators.modelled.roofline`; what is fitted is one efficiency and one overhead
for each kind of kernel that the samples have, and the overhead of a call. The squared relative errors are
minimised, with a weak pull towards what the target declares, so that a kind that hardly occurs stays near it.
The errors that are stored are of samples that a fit had not seen: the samples are split into folds, and each
is predicted by the fit to the others (Stone 1974).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from evaluators.modelled.roofline import Roofline
from evaluators.targets.calibration import Calibration
from evaluators.targets.hardware import CALL, by_kernel
from spaces import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evaluators.modelled.graph_costs import KernelCost
    from evaluators.targets import Target

LEAST_SAMPLES: Final = 8
FOLDS: Final = 8
PULL: Final = 0.02
"""Weight of the logarithm's distance from what is declared, against one relative error."""

START: Final = 0.2
"""The search begins at this share of the declared efficiency: where memory bounds a kernel, its efficiency
has no influence, and a search that began there would stay."""

LOW_OVERHEAD_US: Final = 1e-3
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
    efficiency, overhead = fit.tables(fit.solve(everything))
    calibration = Calibration(
        efficiency, overhead, found.mape, found.tau, found.error_95, len(samples), dict(fingerprint or {})
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
    """All kernels of all samples in arrays; logarithms of efficiencies, overheads, the call's."""

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
        declared = [by_kernel(target.efficiency, *kind) for kind in self._kinds]
        waits = [by_kernel(target.overhead_us, *kind) for kind in self._kinds]
        waits.append(target.overhead_us.get(CALL, 0.0))
        self._declared = np.log([*declared, *np.maximum(waits, LOW_OVERHEAD_US)])

    def solve(self, chosen: NDArray[np.int64]) -> Floats:
        """The parameters that fit some of the samples best."""
        from scipy.optimize import least_squares

        kinds = len(self._kinds)
        start = self._declared.copy()
        start[:kinds] += np.log(START)
        high = np.concatenate([np.full(kinds, np.log(HIGH_EFFICIENCY)), np.full(kinds + 1, np.inf)])

        def residuals(parameters: Floats) -> Floats:
            relative = np.log(self._predict_us(parameters)[chosen] / self._measured_us[chosen])
            return np.concatenate([relative, PULL * (parameters - self._declared)])

        found: Floats = least_squares(residuals, start, bounds=(-np.inf, high), max_nfev=300).x
        return found

    def predict(self, parameters: Floats, chosen: NDArray[np.int64]) -> Floats:
        """Milliseconds of some samples."""
        predicted: Floats = self._predict_us(parameters)[chosen] / 1e3
        return predicted

    def tables(self, parameters: Floats) -> tuple[dict[str, float], dict[str, float]]:
        """Efficiency and overhead as a target has them; what no sample shows stays as declared."""
        values = np.exp(parameters)
        kinds = len(self._kinds)
        efficiency, overhead = dict(self._target.efficiency), dict(self._target.overhead_us)
        for index, (op, dtype) in enumerate(self._kinds):
            efficiency[f"{op}/{dtype}"] = _short(values[index])
            overhead[f"{op}/{dtype}"] = _short(values[kinds + index])
        overhead[CALL] = _short(values[-1])
        return efficiency, overhead

    def _predict_us(self, parameters: Floats) -> Floats:
        values = np.exp(parameters)
        kinds = len(self._kinds)
        efficiency, overhead = values[:kinds][self._kind], values[kinds : 2 * kinds][self._kind]
        moving = np.where(self._compute > 0, self._memory, self._memory / efficiency)
        us = np.maximum(self._compute / efficiency, moving) + overhead
        total: Floats = np.bincount(self._sample, us, minlength=len(self._measured_us)) + values[-1]
        return total


def _short(value: Any) -> float:
    """Four digits are more than a fit knows."""
    return float(f"{float(value):.4g}")
