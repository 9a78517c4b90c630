"""Latency that two runs agree on, on a machine that others use too.

Every round times all artifacts and the runtime's fp32 baseline in random order, one call each, after an untimed call of
the same artifact. A candidate's score is the median ratio of its CPU time to the baseline's in the same round, times the
baseline's calibrated milliseconds: wall time under load is not only noisy but biased towards short calls, while CPU time of
a single thread is not. Multi-threaded targets need another protocol.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

WARM_UP: Final = 10
MIN_ROUNDS: Final = 15
MAX_ROUNDS: Final = 101
SECONDS: Final = 1.0
CONTENDED: Final = 1.05
RESAMPLES: Final = 500
BASELINE: Final = "baseline"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Timing:
    """One artifact's latency relative to the baseline.

    Attributes:
        ratio: median of its CPU time over the baseline's, round by round; below 1 is faster.
        low: lower end of the median's 95 % bootstrap interval.
        high: upper end.
        cpu_ms: median CPU time of a call.
        wall_ms: median wall time of a call.
        contended: wall exceeded CPU time by more than 5 %: the machine was busy.
        rounds: that were timed.
    """

    ratio: float
    low: float
    high: float
    cpu_ms: float
    wall_ms: float
    contended: bool
    rounds: int


def time_calls(calls: Mapping[str, Callable[[], Any]], *, seed: int = 0, seconds: float = SECONDS) -> dict[str, Timing]:
    """Times calls against the one named ``baseline``, interleaved.

    Args:
        calls: by name; one is named `BASELINE`.
        seed: of the order and of the intervals.
        seconds: rounds stop after this time, but never before 15 rounds, and at 101.

    Returns:
        A timing for each call, the baseline's own included (its ratio is 1).

    Raises:
        KeyError: there is no baseline.
    """
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    order, names = random.Random(seed), list(calls)  # noqa: S311
    cpu: dict[str, list[int]] = {name: [] for name in names}
    wall: dict[str, list[int]] = {name: [] for name in names}
    started = time.monotonic()
    for done in range(MAX_ROUNDS):
        if done >= MIN_ROUNDS and time.monotonic() - started > seconds:
            break
        order.shuffle(names)
        for name in names:
            call = calls[name]
            call()  # brings the artifact's weights back into the cache, and pays for what the one before left
            wall_before, cpu_before = time.perf_counter_ns(), time.process_time_ns()
            call()
            cpu[name].append(time.process_time_ns() - cpu_before)
            wall[name].append(time.perf_counter_ns() - wall_before)
    baseline = np.asarray(cpu[BASELINE], dtype=np.float64)
    return {name: _summary(np.asarray(cpu[name], np.float64), np.asarray(wall[name], np.float64), baseline, seed) for name in calls}


def _summary(cpu: Floats, wall: Floats, baseline: Floats, seed: int) -> Timing:
    ratios = cpu / baseline
    ratio = float(np.median(ratios))
    chosen = np.random.default_rng(seed).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[chosen], axis=1), [0.025, 0.975])
    cpu_ms, wall_ms = float(np.median(cpu)) / 1e6, float(np.median(wall)) / 1e6
    contended = wall_ms > CONTENDED * cpu_ms
    return Timing(ratio, min(float(low), ratio), max(float(high), ratio), cpu_ms, wall_ms, contended, len(ratios))
