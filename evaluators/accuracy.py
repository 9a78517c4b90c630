"""Accuracy of an artifact's outputs, with the uncertainty that comes from a finite split.

A metric that is the mean of a score of each example (the share of right answers, say) is resampled as an
array; where those scores are right or wrong, intervals are the binomial's and the test of a difference is
exact. Any other metric is computed again on every resampled split.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from compression import one_line
from evaluators.paired import Discordant, Z
from spaces import Method, Metric, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable

    from compression import Workload
    from evaluators.backends import Array

RESAMPLES: Final = 400
CONFIDENCE: Final = 0.95
CLOSE: Final = 1e-9
SUBSETS: Final = 3
"""Random halves of a split on which a metric must be the mean of its examples' scores to count as one."""

CHUNK: Final = 50
"""Resampled splits at a time: 400 of 10,000 examples would take 32 MB at once."""


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


def example_scores(workload: Workload, outputs: Array, targets: Array) -> Array | None:
    """The metric of each example alone, if the metric of many is their mean; else ``None``.

    Args:
        workload: gives the metric.
        outputs: ``n x …``.
        targets: ``n x …``.

    Returns:
        ``n`` float64.
    """
    whole = score(workload, outputs, targets)
    try:
        scores = np.array(
            [float(workload.metric(outputs[i : i + 1], targets[i : i + 1])) for i in range(len(targets))]
        )
    except Exception:  # noqa: BLE001  # a correlation, say, has no value on one example: the metric is no mean
        return None
    generator = np.random.default_rng(0)
    halves = [generator.permutation(len(targets))[: max(1, len(targets) // 2)] for _ in range(SUBSETS)]
    is_mean = abs(scores.mean() - whole) <= CLOSE and all(
        abs(scores[half].mean() - score(workload, outputs[half], targets[half])) <= CLOSE for half in halves
    )
    return scores if is_mean else None


def accuracy(
    workload: Workload,
    outputs: Array,
    targets: Array,
    split: str,
    seed: int = 0,
    method: Method = Method.MEASURED,
) -> Metric:
    """The metric with its 95 % interval over examples.

    Wilson's interval (1927) where each example is right or wrong; else the bootstrap's percentiles (Efron &
    Tibshirani 1993, ch. 13), which are the same for many examples and say nothing where all are right.

    Args:
        workload: gives the metric.
        outputs: ``n x …``.
        targets: ``n x …``.
        split: where they come from.
        seed: of the resampling.
        method: how the outputs came about.

    Raises:
        WorkloadError: see `score`.
    """
    value = score(workload, outputs, targets)
    scores = example_scores(workload, outputs, targets)
    if scores is None:
        low, high = _interval(
            lambda chosen: score(workload, outputs[chosen], targets[chosen]), len(targets), seed
        )
    elif _is_right_or_wrong(scores):
        low, high = _wilson(value, len(scores))
    else:
        low, high = _mean_interval(scores, seed)
    return Metric(value, "fraction", method, low=min(low, value), high=max(high, value), split=split)


def accuracy_drop(
    workload: Workload,
    reference: Array,
    outputs: Array,
    targets: Array,
    split: str,
    seed: int = 0,
    method: Method = Method.MEASURED,
) -> Metric:
    """Reference minus candidate on the same examples, with the chance that nothing but luck is behind it.

    Args:
        workload: gives the metric.
        reference: outputs of the uncompressed artifact, ``n x …``.
        outputs: of the candidate, ``n x …``.
        targets: ``n x …``.
        split: where they come from.
        seed: of the resampling.
        method: how the outputs came about.

    Returns:
        In the metric's unit; negative where the candidate is better. ``low`` and ``high`` bound the 95 %
        interval; ``p_value`` is that of McNemar's exact test where each example is right or wrong, else of a
        permutation test that exchanges both models' outputs example by example. Outputs that are the same
        differ by nothing, without doubt.

    Raises:
        WorkloadError: see `score`.
    """
    value = score(workload, reference, targets) - score(workload, outputs, targets)
    made = partial(Metric, value, "fraction", method, split=split)
    if np.array_equal(reference, outputs):
        return made(low=value, high=value, p_value=1.0)
    before, after = (example_scores(workload, each, targets) for each in (reference, outputs))
    if before is None or after is None:
        interval, p_value = _resampled_drop(workload, reference, outputs, targets, seed)
    elif _is_right_or_wrong(before) and _is_right_or_wrong(after):
        pairs = Discordant.of(before, after)
        interval, p_value = pairs.interval(), pairs.p_value
    else:
        interval, p_value = _mean_interval(before - after, seed), _exchange(before - after, seed)
    return made(low=min(interval[0], value), high=max(interval[1], value), p_value=p_value)


def _is_right_or_wrong(scores: Array) -> bool:
    return bool(np.isin(scores, (0.0, 1.0)).all())


def _wilson(value: float, count: int) -> tuple[float, float]:
    shrink = 1 + Z**2 / count
    middle = (value + Z**2 / (2 * count)) / shrink
    half = Z * math.sqrt(value * (1 - value) / count + Z**2 / (4 * count**2)) / shrink
    return middle - half, middle + half


def _mean_interval(scores: Array, seed: int) -> tuple[float, float]:
    """Of a mean, by the bootstrap."""
    generator, count = np.random.default_rng(seed), len(scores)
    means = [
        scores[generator.integers(0, count, (CHUNK, count))].mean(axis=1) for _ in range(RESAMPLES // CHUNK)
    ]
    return _percentiles(np.concatenate(means))


def _exchange(gaps: Array, seed: int) -> float:
    """Share of random signs under which the mean gap is at least as far from zero (Fisher 1935, § 21)."""
    generator, count = np.random.default_rng(seed), len(gaps)
    seen, extreme = abs(gaps.mean()), 0
    for _ in range(RESAMPLES // CHUNK):
        signs = generator.integers(0, 2, (CHUNK, count)) * 2 - 1
        extreme += int((np.abs((signs * gaps).mean(axis=1)) >= seen - CLOSE).sum())
    return (extreme + 1) / (RESAMPLES + 1)


def _resampled_drop(
    workload: Workload, reference: Array, outputs: Array, targets: Array, seed: int
) -> tuple[tuple[float, float], float]:
    """Interval and p-value of a metric that is no mean: it is computed again on each resampled split."""

    def gap(one: Array, other: Array, chosen: Array) -> float:
        truth = targets[chosen]
        return score(workload, one[chosen], truth) - score(workload, other[chosen], truth)

    everything = np.arange(len(targets))
    seen, extreme = abs(gap(reference, outputs, everything)), 0
    generator = np.random.default_rng(seed)
    for _ in range(RESAMPLES):
        swap = generator.integers(0, 2, len(targets)).astype(bool)
        swap = swap.reshape(-1, *[1] * (outputs.ndim - 1))
        one, other = np.where(swap, outputs, reference), np.where(swap, reference, outputs)
        extreme += abs(gap(one, other, everything)) >= seen - CLOSE
    interval = _interval(lambda chosen: gap(reference, outputs, chosen), len(targets), seed)
    return interval, (extreme + 1) / (RESAMPLES + 1)


def _interval(statistic: Callable[[Array], float], count: int, seed: int) -> tuple[float, float]:
    generator = np.random.default_rng(seed)
    return _percentiles(np.array([statistic(generator.integers(0, count, count)) for _ in range(RESAMPLES)]))


def _percentiles(values: Array) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
