"""The process that measures latency: nothing but the runtime in it, its one thread pinned to a core.

Run as ``python -m evaluators.meter`` by `Meter`; speaks JSON lines.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil
from filelock import FileLock, Timeout

from evaluators.cache import cache_root
from evaluators.children import Child, serve
from evaluators.latency import Timing, time_calls
from evaluators.runtime import Array, open_session
from spaces import DeploymentError, MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT_S: Final = 120.0
SESSIONS: Final = 4
"""Sessions of each artifact: where one's memory happens to lie changes its latency by a few per cent."""

OTHERS: Final = 0.15
"""Share of the machine beyond the measuring core; above it others move the ratios, quiet rounds or not."""

ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Meter:
    """Measures artifacts in a process of its own; only one measurement runs on a machine at a time."""

    def __init__(self) -> None:
        self._child: Child | None = None

    def measure(
        self,
        artifacts: Mapping[str, Path],
        inputs: Mapping[str, Array],
        *,
        seed: int = 0,
        quiet_ms: float | None = None,
    ) -> dict[str, Timing]:
        """Times one call of each artifact against the one named ``baseline``.

        Args:
            artifacts: files by name; one is named `evaluators.latency.BASELINE`.
            inputs: the feed of one call.
            seed: of the order and of the intervals.
            quiet_ms: the baseline's CPU time on a quiet machine, once it is known.

        Raises:
            DeploymentError: the runtime refuses an artifact.
            MeasurementError: the process dies or takes longer than two minutes.
        """
        lock = FileLock(_lock_path(), timeout=TIMEOUT_S)
        try:
            with lock, tempfile.TemporaryDirectory() as scratch:
                feed = Path(scratch) / "feed.npz"
                np.savez(feed, **dict(inputs))  # type: ignore[arg-type]
                paths = {name: str(path) for name, path in artifacts.items()}
                answer, others = self._ask(
                    {"artifacts": paths, "feed": str(feed), "seed": seed, "quiet_ms": quiet_ms}
                )
        except Timeout as error:
            raise MeasurementError(
                f"another measurement has held {lock.lock_file} for {TIMEOUT_S:g} s"
            ) from error
        if "error" in answer:
            raise DeploymentError(answer["error"])
        timings = {name: Timing(**timing) for name, timing in answer["timings"].items()}
        busy = others > OTHERS
        return {name: replace(timing, contended=timing.contended or busy) for name, timing in timings.items()}

    def close(self) -> None:
        """Ends the process."""
        if self._child is not None:
            self._child.close()
            self._child = None

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """The answer, and the share of the machine that others used meanwhile."""
        child = self._running()
        started, before = time.monotonic(), psutil.cpu_times()
        child.send(request)
        answer = child.receive(TIMEOUT_S)
        elapsed_s, after = time.monotonic() - started, psutil.cpu_times()
        used_s = sum(getattr(after, kind) - getattr(before, kind) for kind in ("user", "system"))
        return answer, (used_s / elapsed_s - 1) / (psutil.cpu_count() or 1)

    def _running(self) -> Child:
        if self._child is not None and not self._child.is_alive:
            self._child.kill()  # closes what is left of it
            self._child = None
        if self._child is None:
            self._child = Child("evaluators.meter", ONE_THREAD)
        return self._child


def _lock_path() -> Path:
    path = cache_root() / "measuring.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _handle(request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
    try:
        with np.load(request["feed"]) as archive:
            feed = {name: archive[name] for name in archive.files}
        calls = {name: _calls(Path(path), feed) for name, path in request["artifacts"].items()}
        timings = time_calls(calls, seed=request["seed"], quiet_ms=request["quiet_ms"])
    except DeploymentError as error:
        answer({"error": str(error)})
    except Exception as error:  # noqa: BLE001  # the runtime's errors share no class
        answer({"error": f"ONNX Runtime fails on the example inputs: {error}"})
    else:
        answer({"timings": {name: asdict(timing) for name, timing in timings.items()}})


def _calls(path: Path, feed: dict[str, Array]) -> list[Callable[[], Any]]:
    """The same call on several sessions of an artifact."""
    sessions = [open_session(path) for _ in range(SESSIONS)]
    return [partial(session.run, None, feed) for session in sessions]


def _pin() -> None:
    """To the last core that the process may use; systems without affinity go unpinned."""
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    _pin()
    serve(_handle)
