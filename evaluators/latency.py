"""Latency that two runs agree on, on a machine that others use too.

Every round times all artifacts and the runtime's fp32 baseline in random order, one call each, after untimed
calls of the same artifact. A candidate's score is the lower decile of its times over the lower decile of the
baseline's, times the baseline's calibrated milliseconds. Load only ever adds time, and rarely to all calls:
the fast tenth is what both take when nobody disturbs them, where a median moves as soon as half the calls are
disturbed, and rounds that are chosen by the baseline's speed flatter the baseline (docs/decisions/0015).

A single thread is timed by the CPU time that it used: wall time under load is not only noisy but biased
towards short calls. Several threads are timed by the wall, since while one of them waits for another both use
CPU time; there rounds in which a thread waited for a core do not count, and a measurement goes on, with
pauses, until the machine has been quiet for long enough (`evaluators.rounds`).
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from evaluators.rounds import Round, quiet_rounds, waited_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

Clock = Literal["cpu", "wall"]

BASELINE: Final = "baseline"
WARM_UP_CALLS: Final = 10
WARM_UP_S: Final = 0.03
UNTIMED_S: Final = 0.001
"""Untimed calls before a timed one go on for this long, so that short calls find their caches warm."""

MIN_ROUNDS: Final = 15
ENOUGH_ROUNDS: Final = 61
USUAL_S: Final = 1.0
PATIENCE_S: Final[dict[Clock, float]] = {"cpu": 3.0, "wall": 10.0}
"""How long to wait for 15 quiet rounds, by the clock that times: a starved process needs rounds, not time."""

FAST: Final = 0.1
"""Quantile of an artifact's times that is compared."""

PAUSE_S: Final = 0.25
"""By the wall, after each second that brought too few quiet rounds."""

CONTENDED: Final = 1.05
RESAMPLES: Final = 500


@dataclass(frozen=True, slots=True)
class Timing:
    """One artifact's latency relative to the baseline.

    Attributes:
        ratio: lower decile of its times over the baseline's; below 1 is faster.
        low: lower end of the ratio's 95 % bootstrap interval, over rounds.
        high: upper end.
        cpu_ms: lower decile of a call's CPU time, of all threads.
        wall_ms: lower decile of a call's wall time.
        contended: the machine was busy: few rounds were quiet, or, timed by the CPU, wall time exceeded CPU
            time by more than 5 %.
        rounds: that count.
        clock: which of both times the ratio is of.
        calibrated: of a time that was computed from figures, whether these were fitted to measurements;
            ``None`` of a measured one.
    """

    ratio: float
    low: float
    high: float
    cpu_ms: float
    wall_ms: float
    contended: bool
    rounds: int
    clock: Clock = "cpu"
    calibrated: bool | None = None

    @property
    def call_ms(self) -> float:
        """Lower decile of a call's time by the timing's clock."""
        return self.cpu_ms if self.clock == "cpu" else self.wall_ms


def time_calls(
    calls: Mapping[str, Sequence[Callable[[], Any]]],
    *,
    seed: int = 0,
    quiet_ms: float | None = None,
    clock: Clock = "cpu",
    patience_s: float | None = None,
) -> dict[str, Timing]:
    """Times calls against the one named ``baseline``, interleaved.

    It takes a second at the usual. While the machine is busy it takes as long as its patience, and longer
    only where 15 rounds do.

    Args:
        calls: by name, one of them `BASELINE`; several calls of a name do the same on memory of their own,
            and take turns from round to round.
        seed: of the order and of the intervals.
        quiet_ms: the baseline's time on a quiet machine, by which rounds are told quiet; ``None`` takes the
            fastest tenth of the rounds.
        clock: CPU time for one thread, the wall's for several.
        patience_s: how long to wait for 15 quiet rounds, by that clock, and of CPU time twice as long by the
            wall; ``None`` is that of `PATIENCE_S`.

    Returns:
        A timing for each call, the baseline's own included (its ratio is 1).

    Raises:
        KeyError: there is no baseline.
    """
    _ = calls[BASELINE]
    _warm_up(call for same in calls.values() for call in same)
    order = random.Random(seed)  # noqa: S311  # an order of calls is no secret
    rounds: list[Round] = []
    quiet: list[int] = []
    watch = _Watch(clock, PATIENCE_S[clock] if patience_s is None else patience_s)
    while not watch.is_enough(len(rounds), len(quiet)):
        watch.rest(len(quiet))
        turn = {name: same[len(rounds) % len(same)] for name, same in calls.items()}
        rounds.append(_round(turn, order))
        quiet = quiet_rounds(rounds, BASELINE, quiet_ms, clock)
    contended = len(quiet) < MIN_ROUNDS
    counted = rounds if contended or clock == "cpu" else [rounds[index] for index in quiet]
    return {name: _summary(name, counted, seed, clock, contended=contended) for name in calls}


class _Watch:
    """How long a measurement goes on."""

    def __init__(self, clock: Clock, patience_s: float) -> None:
        self._clock, self._patience_s = clock, patience_s
        self._started_cpu = time.process_time()
        self._started = self._rested = time.monotonic()

    def is_enough(self, rounds: int, quiet: int) -> bool:
        """There are rounds enough, or patience is at its end."""
        if rounds < MIN_ROUNDS:
            return False
        wall_s = time.monotonic() - self._started
        elapsed_s = wall_s if self._clock == "wall" else time.process_time() - self._started_cpu
        if quiet >= ENOUGH_ROUNDS or (quiet >= MIN_ROUNDS and elapsed_s > USUAL_S):
            return True
        return elapsed_s > self._patience_s or wall_s > 2 * self._patience_s

    def rest(self, quiet: int) -> None:
        """By the wall, waits a little after each second that brought too few quiet rounds."""
        if self._clock == "cpu" or quiet >= MIN_ROUNDS or time.monotonic() - self._rested < USUAL_S:
            return
        time.sleep(PAUSE_S)
        self._rested = time.monotonic()


def _warm_up(calls: Iterable[Callable[[], Any]]) -> None:
    for call in calls:
        until = time.monotonic() + WARM_UP_S
        for _ in range(WARM_UP_CALLS):
            call()
        while time.monotonic() < until:
            call()


def _round(calls: Mapping[str, Callable[[], Any]], order: random.Random) -> Round:
    """CPU and wall nanoseconds of one call of each."""
    names = list(calls)
    order.shuffle(names)
    times = {}
    started, waited = time.perf_counter_ns(), waited_ns()
    for name in names:
        call = calls[name]
        until = time.perf_counter() + UNTIMED_S
        call()
        while time.perf_counter() < until:
            call()
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        call()
        times[name] = (time.process_time_ns() - cpu, time.perf_counter_ns() - wall)
    return Round(times, (waited_ns() - waited) / (time.perf_counter_ns() - started))


def _summary(name: str, rounds: list[Round], seed: int, clock: Clock, *, contended: bool) -> Timing:
    own, baseline = (
        np.array([turn.times[each] for turn in rounds], dtype=np.float64) for each in (name, BASELINE)
    )
    column = 0 if clock == "cpu" else 1
    ratio = float(_fast(own[:, column]) / _fast(baseline[:, column]))
    chosen = np.random.default_rng(seed).integers(0, len(own), (RESAMPLES, len(own)))
    ratios = _fast(own[:, column][chosen]) / _fast(baseline[:, column][chosen])
    low, high = np.quantile(ratios, [0.025, 0.975])
    cpu_ms, wall_ms = (float(_fast(own[:, each])) / 1e6 for each in (0, 1))
    waits = clock == "cpu" and wall_ms > CONTENDED * cpu_ms
    return Timing(
        ratio,
        min(float(low), ratio),
        max(float(high), ratio),
        cpu_ms,
        wall_ms,
        contended or waits,
        len(rounds),
        clock,
    )


def _fast(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """The lower decile along the last axis."""
    fast: NDArray[np.float64] = np.quantile(times, FAST, axis=-1)
    return fast
