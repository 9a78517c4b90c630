"""Latency that two runs agree on, on a machine that others use too.

Every round times all artifacts and the runtime's fp32 baseline in random order, one call each, after untimed
calls of the same artifact. A candidate's score is the median ratio of its CPU time to the baseline's in the
same round, times the baseline's calibrated milliseconds: wall time under load is not only noisy but biased
towards short calls, while CPU time of a single thread is not.

Even CPU time is biased while a neighbour uses the other half of a shared core: on an AMD EPYC guest the fp32
baseline slows down 1.4 times and an int8 candidate 1.7 times, so a true 3.7x shows as 3.0x. Only rounds whose
baseline is as fast as in quiet are therefore counted; where there are too few of them in time, all count, and
the timing says that the machine was contended. Multi-threaded targets need another protocol.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

BASELINE: Final = "baseline"
WARM_UP_CALLS: Final = 10
WARM_UP_S: Final = 0.03
UNTIMED_S: Final = 0.001
"""Untimed calls before a timed one go on for this long, so that short calls find their caches warm."""

MIN_ROUNDS: Final = 15
ENOUGH_ROUNDS: Final = 61
USUAL_S: Final = 1.0
PATIENCE_S: Final = 3.0
QUIET: Final = 1.1
"""A round is quiet if its baseline takes at most this much of the quiet baseline's CPU time."""

CONTENDED: Final = 1.05
RESAMPLES: Final = 500

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
        contended: the machine was busy: few rounds were quiet, or wall exceeded CPU time by more than 5 %.
        rounds: that count.
    """

    ratio: float
    low: float
    high: float
    cpu_ms: float
    wall_ms: float
    contended: bool
    rounds: int


def time_calls(
    calls: Mapping[str, Sequence[Callable[[], Any]]], *, seed: int = 0, quiet_ms: float | None = None
) -> dict[str, Timing]:
    """Times calls against the one named ``baseline``, interleaved.

    It takes a second at the usual, up to three while the machine is busy, and longer only where 15 rounds do.

    Args:
        calls: by name, one of them `BASELINE`; several calls of a name do the same on memory of their own,
            and take turns from round to round.
        seed: of the order and of the intervals.
        quiet_ms: the baseline's CPU time on a quiet machine; ``None`` takes the fastest tenth of the rounds.

    Returns:
        A timing for each call, the baseline's own included (its ratio is 1).

    Raises:
        KeyError: there is no baseline.
    """
    _ = calls[BASELINE]
    _warm_up(call for same in calls.values() for call in same)
    order = random.Random(seed)  # noqa: S311  # an order of calls is no secret
    rounds: list[dict[str, tuple[int, int]]] = []
    quiet: list[int] = []
    started = time.monotonic()
    while not _is_enough(len(rounds), len(quiet), time.monotonic() - started):
        turn = {name: same[len(rounds) % len(same)] for name, same in calls.items()}
        rounds.append(_round(turn, order))
        quiet = _quiet_rounds(rounds, quiet_ms)
    contended = len(quiet) < MIN_ROUNDS
    counted = rounds if contended else [rounds[index] for index in quiet]
    return {name: _summary(name, counted, seed, contended=contended) for name in calls}


def _is_enough(rounds: int, quiet: int, elapsed_s: float) -> bool:
    if rounds < MIN_ROUNDS:
        return False
    return quiet >= ENOUGH_ROUNDS or (quiet >= MIN_ROUNDS and elapsed_s > USUAL_S) or elapsed_s > PATIENCE_S


def _warm_up(calls: Iterable[Callable[[], Any]]) -> None:
    for call in calls:
        until = time.monotonic() + WARM_UP_S
        for _ in range(WARM_UP_CALLS):
            call()
        while time.monotonic() < until:
            call()


def _round(calls: Mapping[str, Callable[[], Any]], order: random.Random) -> dict[str, tuple[int, int]]:
    """CPU and wall nanoseconds of one call of each."""
    names = list(calls)
    order.shuffle(names)
    times = {}
    for name in names:
        call = calls[name]
        until = time.perf_counter() + UNTIMED_S
        call()
        while time.perf_counter() < until:
            call()
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        call()
        times[name] = (time.process_time_ns() - cpu, time.perf_counter_ns() - wall)
    return times


def _quiet_rounds(rounds: list[dict[str, tuple[int, int]]], quiet_ms: float | None) -> list[int]:
    baseline = np.array([times[BASELINE][0] for times in rounds], dtype=np.float64)
    level = np.quantile(baseline, 0.1) if quiet_ms is None else quiet_ms * 1e6
    quiet: list[int] = np.flatnonzero(baseline <= QUIET * level).tolist()
    return quiet


def _summary(name: str, rounds: list[dict[str, tuple[int, int]]], seed: int, *, contended: bool) -> Timing:
    own: Floats = np.array([times[name] for times in rounds], dtype=np.float64)
    baseline: Floats = np.array([times[BASELINE][0] for times in rounds], dtype=np.float64)
    ratios = own[:, 0] / baseline
    ratio = float(np.median(ratios))
    chosen = np.random.default_rng(seed).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[chosen], axis=1), [0.025, 0.975])
    cpu_ms, wall_ms = (float(value) / 1e6 for value in np.median(own, axis=0))
    return Timing(
        ratio,
        min(float(low), ratio),
        max(float(high), ratio),
        cpu_ms,
        wall_ms,
        contended or wall_ms > CONTENDED * cpu_ms,
        len(rounds),
    )
