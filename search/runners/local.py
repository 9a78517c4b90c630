"""Runs one job on this machine, trial by trial; whatever ends it, it can be taken up again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from evaluators.targets import find_target
from search.engine import GUIDED, Engine
from search.job import JobState, Progress
from search.pareto import Front, find_front, unbeatable
from search.profile import SCHEMA, Profile, offers, profile_key
from search.runners.bench import Bench, Limits, Opened
from spaces import (
    Capabilities,
    CompressionError,
    MeasurementError,
    Metrics,
    SearchSpace,
    StorageError,
    TautenError,
    UnknownName,
    WorkloadError,
    metrics_from_dict,
    metrics_to_dict,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evaluators.targets import Target
    from search.guidance import Guidance
    from search.runners.ledger import Artifacts, Ledger
    from search.trial import Trial

HEARTBEAT_S: Final = 1.0
REMEASURE_ROUNDS: Final = 3
TOLD_CHANGE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a job runs.

    Attributes:
        directory: scratch for this job's files.
        artifacts: where finished files go.
        remember: keeps a workload's inventory by name, for whoever cannot make one.
        should_stop: the process is to end; the job goes back to the queue.
        limits: of each trial.
        allow_files: the workload may be ``path.py:factory``.
        find_target: gives the target of a name.
        say: told of stages and shares of the running trial.
    """

    directory: Path
    artifacts: Artifacts
    remember: Callable[[str, dict[str, Any]], None] = lambda name, document: None
    should_stop: Callable[[], bool] = lambda: False
    limits: Limits = field(default_factory=Limits)
    allow_files: bool = False
    find_target: Callable[[str], Target] = find_target
    say: Callable[[dict[str, Any]], None] = lambda message: None


class _Interrupted(Exception):  # noqa: N818
    """The job is to rest in a state; raised out of any wait."""

    def __init__(self, state: JobState, reason: str | None = None) -> None:
        self.state, self.reason = state, reason
        super().__init__(state)


class LocalRunner:
    """The controller of one job.

    Args:
        ledger: the job, held.
        surroundings: where it runs.
    """

    def __init__(self, ledger: Ledger, surroundings: Surroundings) -> None:
        self._ledger, self._around = ledger, surroundings
        self._spec = ledger.job.spec
        self._trials: dict[int, Trial] = {}
        self._reference: Metrics = {}
        self._told_weight = 1.0
        self._earlier_s = ledger.job.progress.elapsed_s
        self._started = self._beat = time.monotonic()
        self._bench = Bench(
            self._spec,
            surroundings.directory,
            find_target=surroundings.find_target,
            limits=surroundings.limits,
            allow_files=surroundings.allow_files,
            idle=self._idle,
            say=surroundings.say,
        )

    def run(self) -> JobState:
        """Runs the job to its end, or until it is interrupted; returns the state it was left in.

        Raises:
            LeaseLost: the job is another worker's now; nothing more was written.
            StorageError: the database cannot serve; the job stays as it was committed last.
        """
        try:
            self._check_in()
            reason = self._search()
            state = JobState.SUCCEEDED
        except _Interrupted as interruption:
            state, reason = interruption.state, interruption.reason
        except StorageError:
            raise
        except TautenError as error:
            state, reason = JobState.FAILED, " ".join(str(error).split())
        finally:
            self._bench.close()
        self._ledger.release(state, reason)
        return state

    def _search(self) -> str | None:
        opened = self._open()
        space = SearchSpace.build(self._spec.space, opened.inventories, self._capabilities())
        self._trials = {trial.number: trial for trial in self._ledger.trials()}
        guidance = self._guidance(space, opened)
        engine = Engine(space, self._spec, list(self._trials.values()), guidance)
        front = self._front()
        reason = None
        while self._done() < self._ledger.job.spec.budget.trials:
            wall_s = self._spec.budget.wall_s
            if wall_s is not None and self._elapsed() > wall_s:
                reason = f"ended after {wall_s:g} s, its wall-time budget, with {self._done()} trials"
                break
            if engine.is_exhausted:
                reason = f"ended with {self._done()} trials: every policy of the space was tried"
                break
            trial = engine.ask()
            self._tell_insight(engine)
            self._ledger.start(trial)
            trial = self._evaluate(trial, front)
            engine.tell(trial)
            self._trials[trial.number] = trial
            front = self._front()
            self._ledger.finish(trial, self._progress(front))
        self._finish(front)
        return reason

    def _open(self) -> Opened:
        known = self._ledger.job.reference
        opened = self._bench.open(known.get("calibrated_ms"))
        self._around.remember(
            self._spec.workload,
            {"students": [[s and s.to_dict(), inv.to_dict()] for s, inv in opened.inventories.items()]},
        )
        for skipped in opened.skipped:
            self._ledger.note("space.skipped", {"detail": skipped})
        if known:
            self._reference = metrics_from_dict(known["metrics"])
        else:
            self._reference = opened.metrics
            artifact = self._around.artifacts.put(opened.artifact)
            self._ledger.set_reference(
                {
                    "metrics": metrics_to_dict(opened.metrics),
                    "calibrated_ms": opened.calibrated_ms,
                    "artifact": {"digest": artifact.digest, "size_bytes": artifact.size_bytes},
                    "provenance": opened.provenance,
                }
            )
        return opened

    def _capabilities(self) -> Capabilities:
        target = self._around.find_target(self._spec.target)
        self._spec.space.check(target.capabilities, target.name)
        return target.capabilities

    def _guidance(self, space: SearchSpace, opened: Opened) -> Guidance | None:
        """What a sampler that reads a profile is told; nothing for the others."""
        if self._spec.sampler != GUIDED:
            return None
        profile = None if self._spec.profile == "none" else self._profile(space, opened)
        from search.guidance import Guidance  # with what takes seconds to load, and serves one sampler

        return Guidance(profile, self._reference, opened.inventories)

    def _profile(self, space: SearchSpace, opened: Opened) -> Profile | None:
        """The stored profile of this workload, target and space, or one that is taken now.

        Where it cannot be measured the search goes on without, and whoever watches is told.
        """
        kind = self._spec.profile
        key = profile_key(space, opened.provenance, kind, self._spec.seed)
        stored = self._ledger.stored_profile(key)
        if stored is not None:
            return Profile.from_dict(stored)
        try:
            measured = self._bench.profile(offers(space), kind)
        except (MeasurementError, WorkloadError, CompressionError) as error:
            self._ledger.note("profile.skipped", {"detail": str(error)})
            return None
        profile = Profile.from_dict({"schema": SCHEMA, "key": key, "kind": kind, **measured})
        self._ledger.store_profile(key, profile.to_dict())
        self._ledger.note("profile.taken", {"key": key, "kind": kind, "seconds": profile.seconds})
        return profile

    def _tell_insight(self, engine: Engine) -> None:
        """Says when the profile's weight has changed by a tenth or more."""
        insight = engine.insight
        if insight is not None and abs(insight.profile_weight - self._told_weight) >= TOLD_CHANGE:
            self._told_weight = insight.profile_weight
            self._ledger.note(
                "profile.weight",
                {
                    "weight": insight.profile_weight,
                    "rank_correlation": insight.correlation,
                    "results": insight.results,
                },
            )

    def _evaluate(self, trial: Trial, front: Front) -> Trial:
        outcome, path = self._bench.evaluate(trial, unbeatable(front))
        if path is not None:
            stored = self._around.artifacts.put(path)
            path.unlink(missing_ok=True)
            assert outcome.artifact is not None
            assert stored.digest == outcome.artifact.digest
        return trial.ended(outcome, self._spec.violations(outcome.metrics))

    def _finish(self, front: Front) -> None:
        """Measures the front again, all together, until no trial joins it that was not among the measured."""
        measured: set[int] = set()
        extras: dict[int, dict[str, Any]] = {}
        for _ in range(REMEASURE_ROUNDS):
            members = {trial.number for trial in front.trials}
            if not members - measured:
                break
            measured |= members
            paths = {number: self._artifact(self._trials[number]) for number in sorted(measured)}
            results = self._bench.finish(paths)
            changed = []
            for number in paths:
                trial, latency = self._trials[number], results[number]["latency_ms"]
                violates = self._spec.violations({**trial.metrics, "latency_ms": latency})
                self._trials[number] = trial.remeasured(latency, violates)
                changed.append(self._trials[number])
                extras[number] = {"accuracy_test": results[number]["accuracy_test"].to_dict()}
            self._ledger.update_trials(changed)
            self._ledger.set_extras(extras)
            self._ledger.set_reference(
                {**self._ledger.job.reference, "accuracy_test": results[-1]["accuracy_test"].to_dict()}
            )
            front = self._front()

    def _artifact(self, trial: Trial) -> Path:
        if trial.artifact is None:
            raise UnknownName("artifact of trial", str(trial.number))
        return self._around.artifacts.path(trial.artifact.digest)

    def _front(self) -> Front:
        return find_front(
            list(self._trials.values()), self._spec.objectives, self._reference, self._spec.constraints
        )

    def _done(self) -> int:
        return sum(trial.state.counts for trial in self._trials.values())

    def _elapsed(self) -> float:
        return self._earlier_s + time.monotonic() - self._started

    def _progress(self, front: Front) -> Progress:
        done, total = self._done(), self._ledger.job.spec.budget.trials
        seconds = [trial.seconds for trial in self._trials.values() if trial.state.counts]
        rest = (total - done) * (sum(seconds) / len(seconds)) if seconds else None
        elapsed = self._elapsed()
        return Progress(done, total, front.hypervolume, elapsed, None if rest is None else elapsed + rest)

    def _idle(self) -> None:
        if time.monotonic() - self._beat >= HEARTBEAT_S:
            self._beat = time.monotonic()
            self._check_in()

    def _check_in(self) -> None:
        if self._around.should_stop():
            raise _Interrupted(JobState.QUEUED)
        wanted = self._ledger.heartbeat()
        if wanted is JobState.CANCELLING:
            raise _Interrupted(JobState.CANCELLED, "cancelled on request")
        if wanted is JobState.PAUSED:
            raise _Interrupted(JobState.PAUSED)
