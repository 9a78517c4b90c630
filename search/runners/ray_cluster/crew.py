"""The evaluators of one job on a Ray cluster, as its controller sees them."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import ray
from ray.exceptions import (
    ActorUnavailableError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    RayError,
    RayTaskError,
    WorkerCrashedError,
)

from search.runners.crew import WAIT_S, Ended, Lost, NoEvaluatorError
from search.runners.ray_cluster.cluster import demand, shortage
from search.runners.ray_cluster.evaluators import Evaluator, received
from spaces import MeasurementError, TautenError, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from evaluators import Outcome
    from search.resources import Resources
    from search.runners.bench import Idle, Opened
    from search.runners.ray_cluster.evaluators import MakeEvaluating
    from search.trial import Trial
    from spaces import Metrics

OPENINGS: Final = 3
"""Evaluators in a row that may be lost before they are ready; then the job has failed."""

LOOK_S: Final = 2.0
PATIENCE_S: Final = 10.0
"""How long the cluster may lack what the job needs before that waits in the queue again."""

GONE: Final = (RayActorError, ObjectLostError, WorkerCrashedError, OutOfMemoryError)
"""An evaluator died, or what it answered did with its node."""

GRACE_S: Final = 30.0
"""An evaluator ends a trial at its limit; one that has not answered so much later is ended itself."""


@dataclass
class _Out:
    """A call that an actor was sent."""

    actor: Any
    trial: Trial | None
    deadline: float


class RayCrew:
    """Evaluators on the nodes of a cluster that this process is connected to.

    Each is an actor that takes one policy after the other. They are started together; a trial is handed to
    those that are ready alone, so that one that waits for a node keeps nothing waiting. One that dies is
    replaced.

    Args:
        make: gives what evaluates, on its node.
        size: evaluators to start.
        resources: that each reserves.
        target: that is measured on nodes which declare it; ``None`` where none is.
        directory: for files that come back.
        idle: called a few times a second by whoever waits.
        trial_s: limit of one trial.
    """

    def __init__(
        self,
        make: MakeEvaluating,
        size: int,
        resources: Resources,
        directory: Path,
        idle: Idle,
        *,
        target: str | None = None,
        trial_s: float = 3600.0,
    ) -> None:
        self._resources, self._target = resources, target
        self._looked = self._sufficed = time.monotonic()
        self._wanted, self._idle, self._directory = size, idle, directory
        self._trial_s = trial_s
        wanted = demand(resources)
        self._type = ray.remote(
            num_cpus=wanted["CPU"], num_gpus=wanted.get("GPU", 0), max_restarts=0, max_task_retries=0
        )(Evaluator)
        self._make = ray.put(make)
        self._out: dict[Any, _Out] = {}
        self._started: list[Any] = []
        self._ready: list[Any] = []
        self._free: list[Any] = []
        self._failed_openings = 0
        self._calibrated_ms: float | None = None
        self._files: Any = None

    @property
    def size(self) -> int:
        """Evaluators that are ready, busy ones included; one at least, since a lost one is replaced."""
        return max(len(self._ready), 1)

    def open(self, calibrated_ms: float | None) -> Opened:
        """Makes the reference ready on one node, and begins to on the others.

        Raises:
            WorkloadError: the workload cannot be opened.
        """
        opened, content, files = self._persistently(
            lambda actor: actor.open.remote(calibrated_ms), self._start()
        )
        self._calibrated_ms, self._files = opened.calibrated_ms, ray.put(files)
        for _ in range(self._wanted - 1):
            self._open_another()
        return received(opened, content, self._directory)

    def await_all(self) -> None:
        """Waits until all evaluators are ready: for those who measure what comes after."""
        while len(self._ready) < self._wanted:
            self._look()

    def profile(self, offers: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
        """Taken by one evaluator; no trial may be out."""
        given = ray.put(list(offers))
        result: dict[str, Any] = self._persistently(lambda actor: actor.profile.remote(given, kind))
        return result

    def begin(self, trial: Trial, unbeatable: Sequence[Mapping[str, float]]) -> None:
        """Sends a trial to an evaluator that is free."""
        while not self._free:
            self._look()
        actor = self._free.pop(0)
        until = time.monotonic() + self._trial_s + GRACE_S
        self._out[actor.evaluate.remote(trial, list(unbeatable))] = _Out(actor, trial, until)

    def take(self) -> Ended | Lost | None:
        """The next trial that has ended; ``None`` when another evaluator has become ready."""
        while True:
            before = len(self._ready)
            found = self._look()
            if found is not None or len(self._ready) > before:
                return found

    def finish(self, artifacts: Mapping[int, Path]) -> dict[int, Metrics]:
        """Measured by one evaluator; no trial may be out."""
        contents = _stored(artifacts)
        result: dict[int, Metrics] = self._persistently(lambda actor: actor.finish.remote(contents))
        return result

    def repeat(self, trial: Trial, seed: int) -> Metrics:
        """Scored by one evaluator; no trial may be out."""
        result: Metrics = self._persistently(lambda actor: actor.repeat.remote(trial, seed))
        return result

    def retarget(
        self, candidates: Mapping[int, Mapping[str, Any]], provenance: Mapping[str, Any]
    ) -> dict[int, Outcome]:
        """Scored by one evaluator; no trial may be out."""
        contents = _stored({number: Path(found["path"]) for number, found in candidates.items()})
        plain = {number: dict(found) for number, found in candidates.items()}
        result: dict[int, Outcome] = self._persistently(
            lambda actor: actor.retarget.remote(plain, dict(provenance), contents)
        )
        return result

    def close(self) -> None:
        """Ends all evaluators, whatever they do."""
        for actor in self._started:
            ray.kill(actor)
        self._out, self._ready, self._free, self._started = {}, [], [], []

    def _start(self) -> Any:
        self._started.append(self._type.remote(self._make))
        return self._started[-1]

    def _open_another(self) -> None:
        actor = self._start()
        self._out[actor.open.remote(self._calibrated_ms, self._files)] = _Out(actor, None, float("inf"))

    def _look(self) -> Ended | Lost | None:
        """Waits a moment for what was sent out, and takes in one answer."""
        self._idle()
        done, _ = ray.wait(list(self._out), num_returns=1, timeout=WAIT_S)
        if not done:
            self._check_cluster()
            return self._overdue()
        out = self._out.pop(done[0])
        try:
            answer = ray.get(done[0])
        except RayTaskError as error:
            raise _translated(error) from error
        except GONE as error:
            return self._replaced(out, _why(error))
        if out.trial is None:
            self._failed_openings = 0
            self._ready.append(out.actor)
            self._free.append(out.actor)
            return None
        self._free.append(out.actor)
        outcome, content = answer
        return Ended(out.trial.number, outcome, content and self._write(out.trial, content))

    def _check_cluster(self) -> None:
        """Gives up where no node could run or measure a trial for some time.

        Raises:
            NoEvaluatorError: says what is missing.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        why = shortage(self._resources, self._target)
        if why is None:
            self._sufficed = now
        elif now - self._sufficed > PATIENCE_S:
            raise NoEvaluatorError(why)

    def _overdue(self) -> Lost | None:
        """An evaluator that ignores a trial's limit is ended."""
        now = time.monotonic()
        for call, out in self._out.items():
            if now > out.deadline:
                del self._out[call]
                return self._replaced(out, f"no answer {GRACE_S:g} s after the limit of {self._trial_s:g} s")
        return None

    def _replaced(self, out: _Out, why: str) -> Lost | None:
        """Starts another evaluator in place of one that is gone, or that cannot be reached."""
        ray.kill(out.actor)
        self._started.remove(out.actor)
        if out.actor in self._ready:
            self._ready.remove(out.actor)
        else:
            self._failed_openings += 1
            if self._failed_openings >= OPENINGS:
                raise MeasurementError(f"{OPENINGS} evaluators were lost before they were ready; last: {why}")
        self._open_another()
        return None if out.trial is None else Lost(out.trial.number, why)

    def _persistently(self, send: Callable[[Any], Any], actor: Any = None) -> Any:
        """An answer of one evaluator, asked of others where it is lost."""
        for attempt in itertools.count(1):
            if actor is None:
                while not self._free:
                    self._look()
                actor = self._free[0]
            try:
                answer = self._waited(send(actor))
            except RayTaskError as error:
                raise _translated(error) from error
            except GONE as error:
                if attempt == OPENINGS:
                    raise MeasurementError(f"{attempt} evaluators were lost; last: {_why(error)}") from error
                if self._calibrated_ms is None:
                    actor = self._start()
                else:
                    self._free.remove(actor)
                    self._replaced(_Out(actor, None, 0.0), _why(error))
                    actor = None
                continue
            if actor not in self._ready:
                self._ready.append(actor)
                self._free.append(actor)
            return answer
        raise AssertionError

    def _waited(self, call: Any) -> Any:
        while True:
            self._idle()
            if ray.wait([call], timeout=WAIT_S)[0]:
                return ray.get(call)
            self._check_cluster()

    def _write(self, trial: Trial, content: bytes) -> Path:
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{trial.policy.digest.removeprefix('sha256:')[:16]}.onnx"
        path.write_bytes(content)
        return path


def _stored(artifacts: Mapping[int, Path]) -> Any:
    """Files in the object store."""
    return ray.put({number: path.read_bytes() for number, path in artifacts.items()})


def _translated(error: RayTaskError) -> TautenError:
    """What an evaluator raised: errors of ours as they are, others as the workload's fault."""
    cause = error.cause
    return cause if isinstance(cause, TautenError) else WorkloadError(f"{type(cause).__name__}: {cause}")


def _why(error: RayError) -> str:
    """One line on the end of an evaluator."""
    if isinstance(error, ActorUnavailableError):
        return "its node cannot be reached"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:1] + [line for line in lines[1:] if "died" in line.lower()][:1]) or "it died"
