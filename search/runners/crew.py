"""Who evaluates a job's trials: one or several at once; here those on this machine, each with a thread."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, Protocol

from spaces import TautenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from evaluators import Outcome
    from search.runners.bench import Idle, Opened
    from search.trial import Trial
    from spaces import Metrics

    MakeBench = Callable[[int, Idle], "Evaluating"]

WAIT_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Ended:
    """A trial that was evaluated.

    Attributes:
        number: of the trial.
        outcome: what was found.
        path: its artifact on this machine, or ``None``.
    """

    number: int
    outcome: Outcome
    path: Path | None


@dataclass(frozen=True, slots=True)
class Lost:
    """A trial whose evaluator is gone, so that nothing is known of it.

    Attributes:
        number: of the trial.
        reason: one line for a person.
    """

    number: int
    reason: str


class NoEvaluatorError(TautenError):
    """Nothing can evaluate any more, for now; the job has to wait. Its text says for what."""


class Evaluating(Protocol):
    """What evaluates one trial at a time; `search.runners.bench.Bench` says what each method does."""

    @property
    def is_open(self) -> bool:
        """The workload was loaded."""
        ...

    def open(self, calibrated_ms: float | None) -> Opened:
        """Makes the reference ready."""
        ...

    def evaluate(
        self, trial: Trial, unbeatable: Sequence[Mapping[str, float]]
    ) -> tuple[Outcome, Path | None]:
        """Scores a trial's policy."""
        ...

    def profile(self, offers: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
        """Measures sensitivities."""
        ...

    def repeat(self, trial: Trial, seed: int) -> Metrics:
        """Scores a trial's policy once more, trained with another seed."""
        ...

    def retarget(
        self, candidates: Mapping[int, Mapping[str, Any]], provenance: Mapping[str, Any]
    ) -> dict[int, Outcome]:
        """Scores another job's candidates."""
        ...

    def finish(self, artifacts: Mapping[int, Path]) -> dict[int, Metrics]:
        """Measures finished trials jointly; the reference stands under -1."""
        ...

    def close(self) -> None:
        """Ends it at once."""
        ...


class Crew(Protocol):
    """Evaluators of one job; `begin` as many trials as there is room for, and `take` them as they end.

    Every method that waits calls the ``idle`` that the crew was made with; what that raises passes through.
    """

    @property
    def size(self) -> int:
        """How many trials may be evaluated at once now."""
        ...

    def open(self, calibrated_ms: float | None) -> Opened:
        """Makes the workload's reference ready, see `Bench.open`."""
        ...

    def profile(self, offers: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
        """The sensitivities of what a space offers, see `Bench.profile`."""
        ...

    def begin(self, trial: Trial, unbeatable: Sequence[Mapping[str, float]]) -> None:
        """Hands a trial out; at most `size` may be out."""
        ...

    def take(self) -> Ended | Lost | None:
        """Waits for the next trial that ends, or until there is more room (``None``); one must be out."""
        ...

    def repeat(self, trial: Trial, seed: int) -> Metrics:
        """Scores a trial's policy once more, trained with another seed, see `Bench.repeat`."""
        ...

    def retarget(
        self, candidates: Mapping[int, Mapping[str, Any]], provenance: Mapping[str, Any]
    ) -> dict[int, Outcome]:
        """Scores another job's candidates, see `Bench.retarget`."""
        ...

    def finish(self, artifacts: Mapping[int, Path]) -> dict[int, Metrics]:
        """Measures finished trials again, jointly, see `Bench.finish`."""
        ...

    def close(self) -> None:
        """Ends everything at once, trials that are out included."""
        ...


class _Closed(Exception):  # noqa: N818
    """The crew was closed while an evaluator worked."""


class LocalCrew:
    """Evaluating processes on this machine, each spoken to by a thread; measuring takes the machine's lock.

    The first process prepares the reference; the others start when there is work for them, and take its
    calibration over, so that all latencies have one scale.

    Args:
        make_bench: gives an evaluating process by its position, which calls back while it waits.
        size: processes.
        idle: called a few times a second by whoever waits.
    """

    def __init__(self, make_bench: MakeBench, size: int, idle: Idle) -> None:
        self._size, self._idle = size, idle
        self._closing = threading.Event()
        self._first = make_bench(0, self._check)
        self._free: deque[Evaluating] = deque([self._first])
        self._make = make_bench
        self._made = 1
        self._ended: SimpleQueue[Ended | BaseException] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._calibrated_ms: float | None = None
        self._main = threading.get_ident()

    @property
    def size(self) -> int:
        """Processes, those that were not needed yet included."""
        return self._size

    def open(self, calibrated_ms: float | None) -> Opened:
        """Makes the reference ready in the first process."""
        opened = self._first.open(calibrated_ms)
        self._calibrated_ms = opened.calibrated_ms
        return opened

    def profile(self, offers: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
        """Taken by the first process; no trial may be out."""
        return self._first.profile(offers, kind)

    def begin(self, trial: Trial, unbeatable: Sequence[Mapping[str, float]]) -> None:
        """Hands a trial to a process that is free, or to a new one."""
        if not self._free:
            self._free.append(self._make(self._made, self._check))
            self._made += 1
        bench = self._free.popleft()
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._evaluate, args=(bench, trial, unbeatable), daemon=True)
        self._threads.append(thread)
        thread.start()

    def take(self) -> Ended:
        """The next trial that has ended.

        Raises:
            WorkloadError: a process cannot open the workload.
        """
        while True:
            self._idle()
            try:
                ended = self._ended.get(timeout=WAIT_S)
            except Empty:
                continue
            if isinstance(ended, BaseException):
                raise ended
            return ended

    def finish(self, artifacts: Mapping[int, Path]) -> dict[int, Metrics]:
        """Measured by the first process; no trial may be out."""
        return self._first.finish(artifacts)

    def repeat(self, trial: Trial, seed: int) -> Metrics:
        """Scored by the first process; no trial may be out."""
        return self._first.repeat(trial, seed)

    def retarget(
        self, candidates: Mapping[int, Mapping[str, Any]], provenance: Mapping[str, Any]
    ) -> dict[int, Outcome]:
        """Scored by the first process; no trial may be out."""
        return self._first.retarget(candidates, provenance)

    def close(self) -> None:
        """Ends all processes."""
        self._closing.set()
        self._first.close()
        for thread in self._threads:
            thread.join()
        while self._free:
            self._free.pop().close()

    def _evaluate(self, bench: Evaluating, trial: Trial, unbeatable: Sequence[Mapping[str, float]]) -> None:
        try:
            if bench is not self._first and not bench.is_open:
                bench.open(self._calibrated_ms)
            outcome, path = bench.evaluate(trial, unbeatable)
        except _Closed:
            bench.close()
            return
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes
            bench.close()
            self._ended.put(error)
            return
        self._free.append(bench)
        self._ended.put(Ended(trial.number, outcome, path))

    def _check(self) -> None:
        """What a process's thread does while it waits: the controller alone looks after the job."""
        if threading.get_ident() == self._main:
            self._idle()
        elif self._closing.is_set():
            raise _Closed
