"""A worker's hold on a job: each method is one transaction that demands the claim's fence, or stores nothing.

Takes no job; `storage.queue` does.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from search.job import Job, JobState, Progress
from search.trial import TrialState
from spaces import Conflict, LeaseLost, metrics_to_dict
from storage.columns import UtcNow
from storage.events import change_state, record
from storage.front import find_again, keep_front
from storage.jobs import job_value
from storage.profiles import read_profile, write_profile
from storage.queue import ATTEMPTS_CAP, HELD, end_attempt
from storage.retargets import read_waiting
from storage.retention import free_artifacts
from storage.tables import JobRow
from storage.trials import FINAL, final_row, lose_running, read_trials, write_trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy.orm import Session

    from search.trial import Trial
    from storage.database import Database


class Claim:
    """A job that a worker works on; made by `Store.claim`.

    Every method extends the lease. Every method raises `LeaseLost` once the job is someone else's, was
    released, or is gone, and `StorageError` where the database cannot serve.

    Args:
        database: where the job lies.
        job: as it was claimed.
        worker: id of the worker.
        fence: of this claim.
        lease_s: how long the worker may be silent.
        attempts_cap: claims in a row that end no trial before a job fails as poison.

    Attributes:
        job: as of the claim or the last `heartbeat`: a budget that was raised shows here.
    """

    def __init__(
        self,
        database: Database,
        job: Job,
        worker: str,
        fence: int,
        lease_s: float,
        attempts_cap: int = ATTEMPTS_CAP,
    ) -> None:
        self.job = job
        self._attempts_cap = attempts_cap
        self._database, self._worker, self._fence, self._lease_s = database, worker, fence, lease_s

    def heartbeat(self) -> JobState:
        """Extends the lease and looks at the job again.

        Returns:
            Running; paused or cancelling where the worker is to stop and `release`.
        """
        with self._held() as (_, row):
            job = job_value(row)
        self.job = job
        return job.state

    def trials(self) -> list[Trial]:
        """The trials that have ended, by number: what a sampler is told again."""
        with self._held() as (session, row):
            return read_trials(session, row.id, FINAL)

    def waiting(self) -> list[tuple[Trial, dict[str, Any]]]:
        """The trials of a retargeted job that have not ended, by number, each with what its source found."""
        with self._held() as (session, row):
            return read_waiting(session, row.id)

    def lost(self) -> list[Trial]:
        """The trials whose evaluation was cut off, by number: they run again as they are."""
        with self._held() as (session, row):
            return read_trials(session, row.id, (str(TrialState.LOST),))

    def lose(self, number: int, reason: str) -> None:
        """Marks a running trial as lost, so that it runs again.

        Raises:
            Conflict: the trial does not run.
        """
        with self._held() as (session, row):
            if not lose_running(session, row, reason, number):
                raise Conflict(f"trial {number} of job {row.id} does not run, so it cannot be lost")

    def start(self, trial: Trial) -> None:
        """Stores a trial that begins to run; one of the same number that was lost is overwritten.

        Raises:
            Conflict: the trial is not running, or its number has ended already.
        """
        if trial.state.is_final:
            raise Conflict(
                f"trial {trial.number} is {trial.state}; only a trial that has not ended can start"
            )
        with self._held() as (session, row):
            write_trial(session, row, trial)
            record(session, row, "trial.started", {"trial": trial.number})

    def finish(self, trial: Trial, progress: Progress) -> None:
        """Stores a trial that has ended, its artifact's digest and the job's progress, all or nothing.

        Raises:
            Conflict: the trial has not ended, or its number was finished before.
        """
        if not trial.state.is_final:
            raise Conflict(
                f"trial {trial.number} is {trial.state}; only a trial that has ended can be finished"
            )
        with self._held() as (session, row):
            write_trial(session, row, trial)
            total = row.spec["budget"]["trials"]
            if total > self.job.spec.budget.trials:  # raised since the worker last looked
                progress = replace(progress, total=total)
            row.progress, row.fruitless = progress.to_dict(), 0
            keep_front(session, row, trial)
            told = {"trial": trial.number, "state": str(trial.state), "reason": trial.reason}
            record(session, row, "trial.finished", told | {"progress": progress.to_dict()})

    def set_reference(self, reference: dict[str, Any]) -> None:
        """Stores what the uncompressed model scores, ``{"metrics": …}``."""
        with self._held() as (session, row):
            row.reference = reference
            record(session, row, "reference", reference)
        self.job = replace(self.job, reference=reference)

    def set_extras(self, extras: Mapping[int, dict[str, Any]]) -> None:
        """Adds to the documents beside some trials that have ended; earlier fields of a name are replaced.

        Raises:
            UnknownName: there is no trial of a number.
            Conflict: a trial has not ended.
        """
        with self._held() as (session, row):
            for number, document in extras.items():
                stored = final_row(session, row.id, number)
                stored.extras = {**(stored.extras or {}), **document}
            record(session, row, "trial.extras", {"trials": sorted(extras)})

    def update_trials(self, trials: Sequence[Trial]) -> None:
        """Replaces metrics and violations of trials that have ended, as measured together in the end.

        Raises:
            UnknownName: there is no trial of a number.
            Conflict: a trial has not ended.
        """
        with self._held() as (session, row):
            for trial in trials:
                stored = final_row(session, row.id, trial.number)
                stored.metrics, stored.violates = metrics_to_dict(trial.metrics), dict(trial.violates)
            find_again(session, row)
            record(session, row, "front.remeasured", {"trials": sorted(trial.number for trial in trials)})

    def stored_profile(self, key: str) -> dict[str, Any] | None:
        """A profile that some job stored before, which this one uses from now on, or ``None``."""
        with self._held() as (session, row):
            document = read_profile(session, key)
            if document is not None:
                row.profile_key = key
            return document

    def store_profile(self, key: str, document: dict[str, Any]) -> None:
        """Stores the profile that the job uses; an earlier one of the same key is replaced."""
        with self._held() as (session, row):
            write_profile(session, key, document)
            row.profile_key = key
            record(session, row, "profile", {"key": key})

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Tells whoever watches the job about something."""
        with self._held() as (session, row):
            record(session, row, kind, data)

    def release(self, state: JobState, reason: str | None = None) -> None:
        """Gives the job up. Trials that were running are lost and will run again.

        What the user asked for meanwhile holds: a job released as queued or paused is cancelled if it was
        cancelling, stays paused if it was paused, and waits in the queue otherwise. So does a job released as
        succeeded whose budget was raised after the last `heartbeat`. None of this is a failed attempt.

        Args:
            state: succeeded, failed or cancelled ends the job; queued or paused lets another go on.
            reason: one line for a person.

        Raises:
            Conflict: a job cannot be released into the state.
        """
        if state in {JobState.RUNNING, JobState.CANCELLING}:
            raise Conflict(f"a job is released as queued, paused or in a final state, not as {state}")
        with self._held() as (session, row):
            lose_running(session, row, reason or "the worker let go of the job")
            is_raised = row.spec["budget"]["trials"] > self.job.spec.budget.trials
            if not state.is_final or (state is JobState.SUCCEEDED and is_raised):
                state = _AFTER_RELEASE[JobState(row.state)]
                row.fruitless = max(0, row.fruitless - 1)
            row.worker = row.lease_until = None
            if state != row.state:
                change_state(session, row, state, reason)
            if state.is_final:
                free_artifacts(session, row)

    def give_up(self, error: str) -> None:
        """Ends an attempt that a fault of the worker's own ended; the job waits again.

        With as many attempts in a row that ended no trial as the cap allows, it fails as poison instead.

        Args:
            error: one line for a person; the job keeps it as its last error.
        """
        with self._held() as (session, row):
            lose_running(session, row, error)
            row.worker = row.lease_until = None
            end_attempt(session, row, error, self._attempts_cap)

    @contextmanager
    def _held(self) -> Iterator[tuple[Session, JobRow]]:
        """A transaction in which the job is locked and certain to be this claim's."""
        with self._database.writing() as session:
            row = session.scalars(
                update(JobRow)
                .where(JobRow.id == self.job.id, JobRow.fence == self._fence, JobRow.worker == self._worker)
                .where(JobRow.state.in_(HELD))
                .values(lease_until=UtcNow(self._lease_s))
                .returning(JobRow)
                .execution_options(synchronize_session=False, populate_existing=True)
            ).one_or_none()
            if row is None:
                raise LeaseLost(
                    f"job {self.job.id} is no longer held by {self._worker} (claim {self._fence})"
                )
            yield session, row


_AFTER_RELEASE = {
    JobState.RUNNING: JobState.QUEUED,
    JobState.PAUSED: JobState.PAUSED,
    JobState.CANCELLING: JobState.CANCELLED,
}
