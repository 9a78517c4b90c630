"""The evaluating process as its controller sees it: typed requests, limits, interruption while waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluators import Child, Outcome
from evaluators.targets import offers_simulated
from spaces import (
    LayerInventory,
    MeasurementError,
    Metrics,
    Student,
    TautenError,
    WorkloadError,
    metrics_from_dict,
)

if TYPE_CHECKING:
    from evaluators.targets import Target
    from search.spec import JobSpec
    from search.trial import Trial

Idle = Callable[[], None]
Say = Callable[[dict[str, Any]], None]
Measure = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one trial may use; beyond it the trial fails and its process is ended.

    Attributes:
        trial_s: seconds.
        prepare_s: seconds for loading the workload and its reference, which may train it.
        memory_bytes: resident memory of the evaluating process and its children.
    """

    trial_s: float = 3600.0
    prepare_s: float = 6 * 3600.0
    memory_bytes: int = 16 * 2**30


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known once a workload's reference is ready.

    Attributes:
        inventories: layers by student, in the order of the search space.
        skipped: default students that this model cannot have, with the reason.
        metrics: of the reference.
        calibrated_ms: its latency, to which ratios are applied.
        artifact: its file.
        provenance: for recipes.
        files: that the workload was read from, of those in the cache: its trained model, its data.
    """

    inventories: dict[Student | None, LayerInventory]
    skipped: list[str]
    metrics: Metrics
    calibrated_ms: float
    artifact: Path
    provenance: dict[str, Any]
    files: tuple[Path, ...] = ()


class Bench:
    """An evaluating process; started on first use, and again after it was ended.

    Args:
        spec: of the job.
        directory: for artifacts.
        find_target: gives the target that the job names.
        limits: of time and memory.
        allow_files: the workload may be ``path.py:factory``.
        idle: called a few times a second while waiting; what it raises interrupts the wait.
        say: told what the process reports of its work.
        measure: answers what `evaluators.remote_meter` asks, where this machine is not the target.
    """

    def __init__(
        self,
        spec: JobSpec,
        directory: Path,
        *,
        find_target: Callable[[str], Target],
        limits: Limits,
        allow_files: bool,
        idle: Idle,
        say: Say,
        measure: Measure | None = None,
    ) -> None:
        self._spec, self._find_target = spec, find_target
        self._directory, self._limits = directory, limits
        self._allow_files, self._idle, self._say = allow_files, idle, say
        self._measure = measure
        self._child: Child | None = None
        self._calibrated_ms: float | None = None

    @property
    def is_open(self) -> bool:
        """The workload was loaded, by this process or one before it."""
        return self._calibrated_ms is not None

    def open(self, calibrated_ms: float | None) -> Opened:
        """Loads the workload and makes its reference ready.

        Args:
            calibrated_ms: the reference's latency from an earlier attempt, or ``None``.

        Raises:
            WorkloadError: the workload, or a student, cannot be used; the message says why in one line.
            UnknownName: the target is not there any more.
        """
        self.close()
        target = self._find_target(self._spec.target)
        self._child = Child("evaluators.process")
        request = {
            "do": "open",
            "workload": self._spec.workload,
            "allow_files": self._allow_files,
            "target": target.to_dict(),
            "offers_simulated": offers_simulated(self._spec.space, target),
            "directory": str(self._directory),
            "seed": self._spec.seed,
            "students": self._spec.space.to_dict()["students"],
            "hint": self._spec.space.hint,
            "calibrated_ms": calibrated_ms,
            "is_measured_elsewhere": self._measure is not None,
        }
        try:
            answer = self._request(request, self._limits.prepare_s)
        except MeasurementError as error:
            raise WorkloadError(f"workload {self._spec.workload!r} cannot be prepared: {error}") from error
        self._calibrated_ms = answer["calibrated_ms"]
        return Opened(
            {
                student and Student.from_dict(student): LayerInventory.from_dict(inventory)
                for student, inventory in answer["inventories"]
            },
            answer["skipped"],
            metrics_from_dict(answer["metrics"]),
            answer["calibrated_ms"],
            Path(answer["artifact"]),
            answer["provenance"],
            tuple(Path(path) for path in answer["files"]),
        )

    def evaluate(
        self, trial: Trial, unbeatable: Sequence[Mapping[str, float]]
    ) -> tuple[Outcome, Path | None]:
        """Scores a trial's policy; a process that dies or passes a limit fails the trial, not the job."""
        if self._child is None or not self._child.is_alive:
            self.open(self._calibrated_ms)
        request = {
            "do": "evaluate",
            "policy": trial.evaluated.to_dict(),
            "unbeatable": [dict(item) for item in unbeatable],
        }
        since = time.monotonic()
        try:
            answer = self._request(request, self._limits.trial_s)
        except MeasurementError as error:
            reason = f"the evaluation failed: {error}"
            return Outcome("failed", reason, seconds=time.monotonic() - since), None
        return Outcome.from_dict(answer["outcome"]), answer["path"] and Path(answer["path"])

    def repeat(self, trial: Trial, seed: int) -> Metrics:
        """Accuracy and its drop of the trial's policy, trained once more with another seed.

        Raises:
            MeasurementError: the process died or passed a limit.
            TautenError: the policy could not be compressed again.
        """
        if self._child is None or not self._child.is_alive:
            self.open(self._calibrated_ms)
        request = {"do": "repeat", "policy": trial.evaluated.to_dict(), "seed": seed}
        return metrics_from_dict(self._request(request, self._limits.trial_s)["metrics"])

    def profile(self, offers: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
        """The sensitivities of what a space offers; see `evaluators.sensitivity`.

        Raises:
            MeasurementError: the process died or passed a limit.
            TautenError: the measurement is impossible for this workload.
        """
        if self._child is None or not self._child.is_alive:
            self.open(self._calibrated_ms)
        request = {"do": "profile", "offers": [dict(offer) for offer in offers], "kind": kind}
        profile: dict[str, Any] = self._request(request, self._limits.prepare_s)["profile"]
        return profile

    def retarget(
        self, candidates: Mapping[int, Mapping[str, Any]], provenance: Mapping[str, Any]
    ) -> dict[int, Outcome]:
        """Scores finished candidates on this job's target, jointly; see `evaluators.retarget`.

        Args:
            candidates: by number: ``policy``, ``executed_as``, ``metrics`` and the ``path`` of the artifact.
            provenance: of the job that made them.

        Raises:
            MeasurementError: the process died or passed a limit.
            WorkloadError: the workload's model or data are not those of that job.
        """
        if self._child is None or not self._child.is_alive:
            self.open(self._calibrated_ms)
        request = {
            "do": "retarget",
            "candidates": {str(number): dict(document) for number, document in candidates.items()},
            "provenance": dict(provenance),
        }
        outcomes = self._request(request, self._limits.trial_s * len(candidates))["outcomes"]
        return {int(number): Outcome.from_dict(outcome) for number, outcome in outcomes.items()}

    def finish(self, artifacts: Mapping[int, Path]) -> dict[int, Metrics]:
        """Latency and accuracy on test of finished trials by number, jointly; the reference's under -1."""
        if self._child is None or not self._child.is_alive:
            self.open(self._calibrated_ms)
        request = {
            "do": "finish",
            "artifacts": {str(number): str(path) for number, path in artifacts.items()},
        }
        results = self._request(request, self._limits.prepare_s)["results"]
        return {
            -1 if name == "baseline" else int(name): metrics_from_dict(found)
            for name, found in results.items()
        }

    def close(self) -> None:
        """Ends the process at once."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _request(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        child = self._child
        assert child is not None
        child.send(request)
        since = time.monotonic()
        while True:
            answer = child.receive(timeout_s, self._limits.memory_bytes, self._idle, since)
            if "error" in answer:
                raise _error(answer)
            if "measure" in answer and self._measure is not None:
                child.send(self._measure(answer["measure"]))
            elif "share" in answer or "stage" in answer:
                self._say(answer)
            else:
                return answer


def _error(answer: Mapping[str, Any]) -> TautenError:
    """Errors of the evaluating process: the kind matters only for the workload's faults."""
    return (
        WorkloadError(answer["error"]) if answer["kind"] == "WorkloadError" else TautenError(answer["error"])
    )
