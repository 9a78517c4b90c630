"""Two ways to time artifacts: as the evaluators do, and as is usually done."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from evaluators.latency import BASELINE
from evaluators.meter import Meter
from evaluators.runtime import open_session

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from evaluators.backends import Array

WARM_UP: Final = 10
CALLS: Final = 100


def interleaved(paths: Mapping[str, Path], feed: Mapping[str, Array], seed: int) -> tuple[NDArray[Any], bool]:
    """Ratios to the baseline in a new process, and whether the machine was contended.

    Args:
        paths: files by name, one of them the baseline.
        feed: of a call.
        seed: of the order.
    """
    meter = Meter()
    try:
        timings = meter.measure(paths, feed, seed=seed)
    finally:
        meter.close()
    names = [name for name in paths if name != BASELINE]
    contended = any(timing.contended for timing in timings.values())
    return np.array([timings[name].ratio for name in names]), contended


def one_after_another(paths: Mapping[str, Path], feed: Mapping[str, Array], seed: int) -> NDArray[Any]:
    """Ratios of median wall times, each artifact's 100 calls in a row after ten to warm up."""
    medians = {name: _median_ms(path, feed) for name, path in paths.items()}
    return np.array([ms / medians[BASELINE] for name, ms in medians.items() if name != BASELINE])


def _median_ms(path: Path, feed: Mapping[str, Array]) -> float:
    with closing(open_session(path)) as session:
        call = session.prepare(feed)
        for _ in range(WARM_UP):
            call()
        times = []
        for _ in range(CALLS):
            started = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - started)
    return float(np.median(times)) / 1e6
