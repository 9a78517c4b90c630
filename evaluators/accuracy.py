"""Accuracy of an artifact's outputs, with the uncertainty that comes from a finite split."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from compression import one_line
from spaces import Metric, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from compression import Workload
    from evaluators.runtime import Array

RESAMPLES: Final = 400
CONFIDENCE: Final = 0.95


def score(workload: Workload, outputs: Array, targets: Array) -> float:
    """The workload's metric; higher is better.

    Raises:
        WorkloadError: the split is empty, or the metric raises or is not a finite number; names the cause.
    """
    if len(targets) == 0:
        raise WorkloadError(f"workload {workload.name!r}: the split is empty, so nothing can be scored")
    if not np.isfinite(outputs).all():
        raise WorkloadError(f"workload {workload.name!r}: the model's outputs hold NaN or infinity")
    try:
        value = float(workload.metric(outputs, targets))
    except Exception as error:  # the user's metric may raise anything
        raise WorkloadError(f"workload {workload.name!r}: metric raised {one_line(error)}") from error
    if not math.isfinite(value):
        raise WorkloadError(f"workload {workload.name!r}: metric returned {value}, not a finite number")
    return value


def accuracy(workload: Workload, outputs: Array, targets: Array, split: str, seed: int = 0) -> Metric:
    """The metric with its bootstrap percentile interval over examples (Efron & Tibshirani 1993, ch. 13).

    Args:
        workload: gives the metric.
        outputs: ``n x …``.
        targets: ``n x …``.
        split: where they come from.
        seed: of the resampling.
    """
    value = score(workload, outputs, targets)
    low, high = _interval(
        lambda chosen: score(workload, outputs[chosen], targets[chosen]), len(targets), seed
    )
    return Metric(value, "fraction", low=min(low, value), high=max(high, value), split=split)


def accuracy_drop(
    workload: Workload, reference: Array, outputs: Array, targets: Array, split: str, seed: int = 0
) -> Metric:
    """Reference minus candidate on the same examples: resampled in pairs, for small differences.

    Args:
        workload: gives the metric.
        reference: outputs of the uncompressed artifact, ``n x …``.
        outputs: of the candidate, ``n x …``.
        targets: ``n x …``.
        split: where they come from.
        seed: of the resampling.

    Returns:
        In the metric's unit; negative where the candidate is better.
    """

    def drop(chosen: Array) -> float:
        before = score(workload, reference[chosen], targets[chosen])
        return before - score(workload, outputs[chosen], targets[chosen])

    value = drop(np.arange(len(targets)))
    low, high = _interval(drop, len(targets), seed)
    return Metric(value, "fraction", low=min(low, value), high=max(high, value), split=split)


def _interval(statistic: Callable[[Array], float], count: int, seed: int) -> tuple[float, float]:
    generator = np.random.default_rng(seed)
    values = [statistic(generator.integers(0, count, count)) for _ in range(RESAMPLES)]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
