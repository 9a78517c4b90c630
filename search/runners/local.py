"""Runs one job on this machine, trial by trial; whatever ends it, it can be taken up again."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from evaluators import Outcome
from evaluators.targets import find_target
from search.engine import GUIDED, Engine
from search.finalists import most_finalists
from search.job import JobState
from search.pareto import Front, find_front, unbeatable
from search.profile import SCHEMA, Profile, offers, profile_key
from search.runners.bench import Bench, Limits, Opened
from search.runners.course import Course
from search.runners.crew import LocalCrew, Lost, NoEvaluatorError
from search.runners.finishing import Finishing
from search.samplers import is_foreign
from search.trial import TrialState
from spaces import (
    Capabilities,
    CompressionError,
    InvalidSpec,
    MeasurementError,
    Metrics,
    SearchSpace,
    StorageError,
    TautenError,
    WorkloadError,
    metrics_from_dict,
    metrics_to_dict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from evaluators.targets import Target
    from search.guidance import Guidance
    from search.runners.bench import Idle
    from search.runners.crew import Crew, Ended
    from search.runners.ledger import Artifacts, Ledger
    from search.trial import Trial

    MakeCrew = Callable[[Idle], Crew]

HEARTBEAT_S: Final = 1.0
TOLD_CHANGE: Final = 0.1
RETRIES: Final = 2
"""How often a trial runs again whose evaluator was lost: killed, or its machine gone."""


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
        may_import: a sampler of another package, ``module:Class``, may be imported.
        find_target: gives the target of a name.
        say: told of stages and shares of the running trial.
    """

    directory: Path
    artifacts: Artifacts
    remember: Callable[[str, dict[str, Any]], None] = lambda name, document: None
    should_stop: Callable[[], bool] = lambda: False
    limits: Limits = field(default_factory=Limits)
    allow_files: bool = False
    may_import: Callable[[str], bool] = lambda sampler: False
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
        make_crew: gives who evaluates; ``None`` for as many processes on this machine as the job asks for.
    """

    def __init__(self, ledger: Ledger, surroundings: Surroundings, make_crew: MakeCrew | None = None) -> None:
        self._ledger, self._around = ledger, surroundings
        self._spec = ledger.job.spec
        self._trials: dict[int, Trial] = {}
        self._reference: Metrics = {}
        self._told_weight = 1.0
        self._earlier_s = ledger.job.progress.elapsed_s
        self._started = self._beat = time.monotonic()
        self._running: dict[int, Trial] = {}
        self._losses: Counter[int] = Counter()
        self._crew = (make_crew or self._local_crew)(self._idle)

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
        except NoEvaluatorError as error:
            state, reason = JobState.QUEUED, str(error)
        except StorageError:
            raise
        except TautenError as error:
            state, reason = JobState.FAILED, " ".join(str(error).split())
        finally:
            self._crew.close()
        self._ledger.release(state, reason)
        return state

    def _search(self) -> str | None:
        if is_foreign(self._spec.sampler) and not self._around.may_import(self._spec.sampler):
            raise InvalidSpec.at("/sampler", f"{self._spec.sampler} is not among the samplers allowed here")
        opened = self._open()
        space = SearchSpace.build(self._spec.space, opened.inventories, self._capabilities())
        self._trials = {trial.number: trial for trial in self._ledger.trials()}
        guidance = self._guidance(space, opened)
        engine = Engine(space, self._spec, list(self._trials.values()), guidance)
        course = self._course()
        again = deque(self._ledger.lost())
        for trial in again:
            engine.take_up(trial)
        front = self._front()
        while True:
            reason = None
            while len(self._running) < self._crew.size and reason is None:
                reason = None if again else course.why_end(nothing_left=engine.is_exhausted)
                if reason is None:
                    self._begin(again.popleft() if again else self._asked(engine, course), front)
            if not self._running:
                break
            ended = self._crew.take()
            if ended is None:
                continue
            trial = self._running.pop(ended.number)
            if isinstance(ended, Lost) and self._runs_again(ended):
                again.append(trial)
                continue
            trial = self._ended(trial, ended)
            engine.tell(trial)
            self._trials[trial.number] = trial
            front = self._front()
            self._ledger.finish(trial, course.progress(front))
        self._finishing().run(lambda: course.has_time)
        return reason or None

    def _asked(self, engine: Engine, course: Course) -> Trial:
        trial = engine.ask(course.left)
        self._tell_insight(engine)
        return trial

    def _begin(self, trial: Trial, front: Front) -> None:
        trial = replace(trial, state=TrialState.RUNNING, reason=None)
        self._ledger.start(trial)
        self._running[trial.number] = trial
        is_full = all(member.fidelity == 1 for member in front.trials)
        self._crew.begin(trial, unbeatable(front) if is_full else [])

    def _runs_again(self, lost: Lost) -> bool:
        """A trial whose evaluator was lost runs again, twice at most; then it has failed."""
        self._losses[lost.number] += 1
        if self._losses[lost.number] > RETRIES:
            return False
        self._ledger.lose(lost.number, lost.reason)
        return True

    def _finishing(self) -> Finishing:
        return Finishing(
            self._ledger, self._around.artifacts, self._crew, self._spec, self._trials, self._front
        )

    def _course(self) -> Course:
        return Course(
            lambda: self._ledger.job.spec.budget,
            self._trials,
            lambda: self._earlier_s + time.monotonic() - self._started,
            self._front_of,
            most_finalists(self._spec),
            self._running,
            self._spec.workers,
        )

    def _open(self) -> Opened:
        known = self._ledger.job.reference
        opened = self._crew.open(known.get("calibrated_ms"))
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
            self._check_in()  # the ledger's job has the reference from now on
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
            measured = self._crew.profile(offers(space), kind)
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

    def _ended(self, trial: Trial, ended: Ended | Lost) -> Trial:
        if isinstance(ended, Lost):
            reason = f"its evaluator was lost {self._losses[trial.number]} times; last: {ended.reason}"
            return trial.ended(Outcome("failed", reason), {})
        outcome, path = ended.outcome, ended.path
        if path is not None:
            stored = self._around.artifacts.put(path)
            path.unlink(missing_ok=True)
            assert outcome.artifact is not None
            assert stored.digest == outcome.artifact.digest
        return trial.ended(outcome, self._spec.violations(outcome.metrics))

    def _front(self) -> Front:
        return self._front_of(list(self._trials.values()))

    def _front_of(self, trials: Sequence[Trial]) -> Front:
        return find_front(trials, self._spec.objectives, self._reference, self._spec.constraints)

    def _local_crew(self, idle: Idle) -> Crew:
        around = self._around

        def make_bench(position: int, idle: Idle) -> Bench:
            return Bench(
                self._spec,
                around.directory / str(position) if position else around.directory,
                find_target=around.find_target,
                limits=around.limits,
                allow_files=around.allow_files,
                idle=idle,
                say=around.say,
            )

        return LocalCrew(make_bench, self._spec.workers, idle)

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
