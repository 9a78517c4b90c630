"""The process that measures latency: nothing but the runtime in it, its threads pinned to cores of their own.

Run as ``python -m evaluators.meter`` by `Meter`; speaks JSON lines.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import psutil
from filelock import FileLock, Timeout

from evaluators.backends import Array, Execution, find_backend, first_line
from evaluators.cache import cache_root
from evaluators.children import Child, serve
from evaluators.latency import Timing, time_calls
from spaces import DeploymentError, MeasurementError, TautenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT_S: Final = 120.0
SESSIONS: Final = 4
"""Sessions of each artifact: where one's memory happens to lie changes its latency by a few per cent."""

PATIENCE: Final = "TAUTEN_PATIENCE_S"
"""Seconds that a measurement waits for a quiet machine, for machines that never are."""

OTHERS: Final = 0.15
"""Share of the machine beyond the measuring process; above it others move the ratios, quiet rounds or not."""


class Meter:
    """Measures artifacts in a process of its own; only one measurement runs on a machine at a time.

    Args:
        execution: how artifacts are executed; one thread of ONNX Runtime unless a target says otherwise.
    """

    def __init__(self, execution: Execution | None = None) -> None:
        self._execution = execution or Execution()
        self._child: Child | None = None
        self._used_s = 0.0

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
            quiet_ms: the baseline's time on a quiet machine, once it is known: CPU time for one thread, the
                wall's for several.

        Raises:
            DeploymentError: the runtime refuses an artifact.
            MeasurementError: this machine has fewer cores than the target's threads, or the process dies or
                takes longer than two minutes.
        """
        self._check_cores()
        lock = FileLock(_lock_path(), timeout=TIMEOUT_S)
        try:
            with lock, tempfile.TemporaryDirectory() as scratch:
                feed = Path(scratch) / "feed.npz"
                np.savez(feed, **dict(inputs))  # type: ignore[arg-type]
                paths = {name: str(path) for name, path in artifacts.items()}
                request = {
                    "artifacts": paths,
                    "feed": str(feed),
                    "seed": seed,
                    "quiet_ms": quiet_ms,
                    "patience_s": _patience_s(),
                }
                answer, others = self._ask(request | {"execution": asdict(self._execution)})
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
        own_s, self._used_s = answer["used_s"] - self._used_s, answer["used_s"]
        return answer, (used_s - own_s) / elapsed_s / (psutil.cpu_count() or 1)

    def _check_cores(self) -> None:
        threads, cores = self._execution.threads, usable_cores()
        if threads > len(cores):
            raise MeasurementError(
                f"the target's {threads} threads cannot be measured on {len(cores)} usable cores; lower "
                "workload.threads, or measure on a worker that has them"
            )

    def _running(self) -> Child:
        if self._child is not None and not self._child.is_alive:
            self._child.kill()  # closes what is left of it
            self._child = None
        if self._child is None:
            pools = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self._execution.threads))
            self._child, self._used_s = Child("evaluators.meter", pools), 0.0
        return self._child


def usable_cores() -> list[int]:
    """The cores that this process may use, in order; all of the machine's where the system does not tell."""
    try:
        return sorted(os.sched_getaffinity(0))
    except AttributeError:
        return list(range(os.cpu_count() or 1))


def _patience_s() -> float | None:
    text = os.environ.get(PATIENCE)
    try:
        patience_s = None if not text else float(text)
    except ValueError:
        patience_s = -1.0
    if patience_s is not None and not 0 < patience_s < TIMEOUT_S:
        raise MeasurementError(f"{PATIENCE} must be seconds above 0 and below {TIMEOUT_S:g}, not {text!r}")
    return patience_s


def _lock_path() -> Path:
    path = cache_root() / "measuring.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _handle(request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
    execution = Execution(**request["execution"])
    if execution.pin:
        _pin(execution.threads)
    try:
        with np.load(request["feed"]) as archive:
            feed = {name: archive[name] for name in archive.files}
        with ExitStack() as sessions:
            calls = {
                name: _calls(Path(path), feed, execution, sessions)
                for name, path in request["artifacts"].items()
            }
            timings = time_calls(
                calls,
                seed=request["seed"],
                quiet_ms=request["quiet_ms"],
                clock="cpu" if execution.threads == 1 else "wall",
                patience_s=request["patience_s"],
            )
    except TautenError as error:
        found: dict[str, Any] = {"error": str(error)}
    except Exception as error:  # noqa: BLE001  # the runtimes' errors share no class
        found = {"error": f"{execution.backend} fails on the example inputs: {first_line(error)}"}
    else:
        found = {"timings": {name: asdict(timing) for name, timing in timings.items()}}
    answer(found | {"used_s": time.process_time()})


def _calls(
    path: Path, feed: dict[str, Array], execution: Execution, sessions: ExitStack
) -> list[Callable[[], Any]]:
    """The same call on several sessions of an artifact."""
    backend = find_backend(execution.backend, execution.options)
    opened = [backend.open(path, execution.threads) for _ in range(SESSIONS)]
    return [sessions.enter_context(closing(session)).prepare(feed) for session in opened]


def _pin(threads: int) -> None:
    """To the last cores that the process may use; systems without affinity go unpinned.

    Threads inherit it from the one that starts them, so it comes before the first session.
    """
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, set(usable_cores()[-threads:]))


if __name__ == "__main__":
    serve(_handle)
