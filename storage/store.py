"""What the API, the CLI and workers ask of the database, as values. Each method is one transaction."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import select

from search.job import JobState, Keep
from search.trial import ArtifactRef, Trial, TrialState
from spaces import StorageError, UnknownName
from storage import jobs, queue, retargets, waiting
from storage.claim import Claim
from storage.columns import UtcNow
from storage.database import Database, insert_into
from storage.events import Event, Standpoint, change_state, read_events, read_standpoints
from storage.retention import forget_unused, used_digests
from storage.tables import ArtifactRow, InventoryRow, TrialRow
from storage.trials import page_of_trials, read_trial, read_trials

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from sqlalchemy.orm import Session

    from search.job import Job
    from search.source import Wanted
    from search.spec import JobSpec
    from storage.pages import Page
    from storage.tables import JobRow

    Revisions: TypeAlias = Collection[int] | None


class Store:
    """Jobs, trials, events, artifacts and inventories.

    Every method raises `StorageError` where the database cannot serve, and those that name a job raise
    `UnknownName` where there is none.

    Args:
        database: with this version's schema.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(
        self,
        spec: JobSpec,
        *,
        idempotency_key: str | None = None,
        owner: str | None = None,
        priority: int = 0,
        keep: Keep = Keep.ALL,
    ) -> tuple[Job, bool]:
        """Queues a job.

        Args:
            spec: what to search.
            idempotency_key: of the owner, the same key makes the same job once.
            owner: id of the API key that asks, or ``None``.
            priority: a job of a higher one is taken first.
            keep: whose artifacts stay when the job has ended.

        Returns:
            The job, and whether it was created now: with a key that was used before, it is the earlier job.

        Raises:
            IdempotencyMismatch: the key was used for another specification.
            InvalidValue: the key's length, or the priority.
            QuotaExceeded: as many of the owner's jobs wait as may.
        """
        asked = jobs.Submission(idempotency_key, owner, priority, keep)
        with self._database.writing() as session:
            row, is_new = jobs.submit(session, spec, asked)
            session.flush()
            return jobs.job_value(row), is_new

    def retarget(
        self,
        job_id: str,
        aim: Callable[[Job, int], JobSpec],
        *,
        trials: Wanted = "all",
        idempotency_key: str | None = None,
        owner: str | None = None,
        priority: int = 0,
        keep: Keep = Keep.ALL,
    ) -> tuple[Job, bool]:
        """Queues a job that scores completed trials of a job that has ended on another target.

        Args:
            job_id: the job that has ended.
            aim: makes the new job's specification, given that job and the number of trials.
            trials: all that completed and have their artifact, those of them on the front, or some by number.
            idempotency_key: see `submit`, as the rest.
            owner: see there.
            priority: see there.
            keep: see there.

        Returns:
            The job, and whether it was created now.

        Raises:
            Conflict: the job has not ended, or no trial can be scored.
            InvalidValue: at ``/trials``, where one of the numbers cannot be scored.
            IdempotencyMismatch: the key was used for another submission.
            QuotaExceeded: as many of the owner's jobs wait as may.
        """
        asked = jobs.Submission(idempotency_key, owner, priority, keep)
        with self._database.writing() as session:
            source = jobs.find(session, job_id, lock=True)
            row, is_new = retargets.retarget(session, source, aim, trials, asked)
            session.flush()
            return jobs.job_value(row), is_new

    def explain_waiting(self, *, patience_s: float = waiting.PATIENCE_S) -> int:
        """Says of queued jobs whose target no worker offers that it is so, and takes it back once one does.

        Args:
            patience_s: a job that has waited for less is not spoken of.

        Returns:
            How many jobs something new was said of.
        """
        with self._database.reading() as session:
            stale = waiting.find_stale(session, patience_s)
        for job_id, reason in stale.items():
            with suppress(UnknownName):  # deleted meanwhile
                self.explain(job_id, reason)
        return len(stale)

    def job(self, job_id: str) -> Job:
        """One job."""
        with self._database.reading() as session:
            return jobs.job_value(jobs.find(session, job_id))

    def jobs(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        states: Iterable[JobState] = (),
        workload: str | None = None,
        target: str | None = None,
    ) -> Page[Job]:
        """A page of jobs, newest first; all filters hold together.

        Raises:
            InvalidValue: at ``/cursor`` or ``/limit``.
        """
        with self._database.reading() as session:
            return jobs.page_of_jobs(session, limit, cursor, states, workload, target)

    def delete(self, job_id: str, *, revisions: Revisions = None) -> list[ArtifactRef]:
        """Removes a job that has ended, with its trials and events.

        Args:
            job_id: the job.
            revisions: of which the job must have one, where they are given.

        Returns:
            The artifacts that no other job has; their files may go.

        Raises:
            Conflict: the job has not ended.
            StaleWrite: the job has another revision.
        """
        with self._database.writing() as session:
            return jobs.delete(session, jobs.find(session, job_id, lock=True, revisions=revisions))

    def cancel(self, job_id: str, *, revisions: Revisions = None) -> Job:
        """Ends a job that no worker holds, asks the worker otherwise; asking twice changes nothing.

        Raises:
            Conflict: the job has succeeded or failed.
            StaleWrite: the job has none of the revisions.
        """
        return self._change(job_id, revisions, jobs.cancel)

    def pause(self, job_id: str, *, revisions: Revisions = None) -> Job:
        """Holds a job; a worker that has it lets go when it next looks.

        Raises:
            Conflict: the job has ended or is being cancelled.
            StaleWrite: the job has none of the revisions.
        """
        return self._change(job_id, revisions, jobs.pause)

    def resume(self, job_id: str, *, revisions: Revisions = None) -> Job:
        """Lets a paused job go on: in the queue, or with the worker that has not let go yet.

        Raises:
            Conflict: the job has ended or is being cancelled.
            StaleWrite: the job has none of the revisions.
        """
        return self._change(job_id, revisions, jobs.resume)

    def raise_budget(self, job_id: str, trials: int, *, revisions: Revisions = None) -> Job:
        """Raises the number of trials; a job that has succeeded is queued again.

        Raises:
            InvalidValue: at ``/budget/trials``: not more than now.
            Conflict: the job failed, was cancelled or is being cancelled, or did not keep its artifacts.
            StaleWrite: the job has none of the revisions.
        """
        return self._change(job_id, revisions, lambda session, row: jobs.raise_budget(session, row, trials))

    def _change(self, job_id: str, revisions: Revisions, change: Callable[[Session, JobRow], None]) -> Job:
        with self._database.writing() as session:
            row = jobs.find(session, job_id, lock=True, revisions=revisions)
            change(session, row)
            return jobs.job_value(row)

    def trials(
        self, job_id: str, *, limit: int = 50, cursor: str | None = None, states: Iterable[TrialState] = ()
    ) -> Page[Trial]:
        """A page of a job's trials, by number ascending.

        Raises:
            InvalidValue: at ``/cursor`` or ``/limit``.
        """
        with self._database.reading() as session:
            jobs.find(session, job_id)
            return page_of_trials(session, job_id, limit, cursor, states)

    def all_trials(self, job_id: str) -> list[Trial]:
        """All trials of a job in whatever state, by number."""
        with self._database.reading() as session:
            jobs.find(session, job_id)
            return read_trials(session, job_id)

    def trial(self, job_id: str, number: int) -> Trial:
        """One trial.

        Raises:
            UnknownName: there is no such job or trial.
        """
        with self._database.reading() as session:
            jobs.find(session, job_id)
            return read_trial(session, job_id, number)

    def extras(self, job_id: str) -> dict[int, dict[str, Any]]:
        """The documents that stand beside trials, by trial number; trials without one are left out."""
        with self._database.reading() as session:
            jobs.find(session, job_id)
            columns = select(TrialRow.number, TrialRow.extras).where(TrialRow.job_id == job_id)
            rows = session.execute(columns.order_by(TrialRow.number))
            return {number: document for number, document in rows if document is not None}

    def events(self, job_id: str, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """What happened to a job after an event's number, oldest first.

        Raises:
            InvalidValue: at ``/after`` or ``/limit``.
        """
        with self._database.reading() as session:
            jobs.find(session, job_id)
            return read_events(session, job_id, after, limit)

    def standpoints(self, job_ids: Sequence[str]) -> dict[str, Standpoint]:
        """How far some jobs have come, by id; those that are gone are left out."""
        with self._database.reading() as session:
            return read_standpoints(session, job_ids)

    def used_digests(self) -> set[str]:
        """Every artifact that a trial has, or that is a job's uncompressed model; others are forgotten."""
        with self._database.writing() as session:
            forget_unused(session)
            return used_digests(session)

    def artifact(self, digest: str) -> ArtifactRef:
        """A deployable file by its digest.

        Raises:
            UnknownName: no trial has such an artifact.
        """
        with self._database.reading() as session:
            row = session.get(ArtifactRow, digest)
            if row is None:
                raise UnknownName("artifact", digest)
            return ArtifactRef(row.digest, row.size_bytes)

    def inventory(self, key: str) -> dict[str, Any] | None:
        """A document that was put before, or ``None``."""
        with self._database.reading() as session:
            row = session.get(InventoryRow, key)
            return None if row is None else row.document

    def put_inventory(self, key: str, document: dict[str, Any]) -> None:
        """Stores a document under a key; an earlier one is replaced."""
        with self._database.writing() as session:
            insert = insert_into(session, InventoryRow).values(key=key, document=document)
            values = {"document": document, "created_at": UtcNow()}
            session.execute(insert.on_conflict_do_update(index_elements=["key"], set_=values))

    def waiting(
        self, *, offers: Sequence[str] = (), runner: str | None = None, limit: int = 100
    ) -> list[Job]:
        """The jobs that would be taken next, of owners at their limit too, in no order.

        Args:
            offers: targets of the jobs; all where none are given.
            runner: of the jobs; any if ``None``.
            limit: so many at most.
        """
        with self._database.reading() as session:
            rows = session.scalars(queue.waiting_rows(queue.Wanted(tuple(offers), runner), limit))
            return [jobs.job_value(row) for row in rows]

    def explain(self, job_id: str, why: str | None) -> None:
        """Says why a job waits, or that nothing is in its way; one that waits no longer stays as it is."""
        with self._database.writing() as session:
            row = jobs.find(session, job_id, lock=True)
            if row.state == JobState.QUEUED and row.reason != why:
                change_state(session, row, JobState.QUEUED, why)

    def claim(
        self,
        worker: queue.WorkerLock,
        *,
        lease_s: float = 60,
        attempts_cap: int = queue.ATTEMPTS_CAP,
        offers: Sequence[str] = (),
        runner: str | None = None,
        only: Collection[str] | None = None,
    ) -> Claim | None:
        """Takes the oldest job of the highest priority, jobs of dead workers included.

        Args:
            worker: who takes it; its lock must be held.
            lease_s: how long the worker may be silent before others take the job over.
            attempts_cap: a job that was claimed so often in a row without ending a trial fails when its
                worker dies again.
            offers: targets whose jobs are taken; all where none are given.
            runner: of the jobs that are taken; any if ``None``.
            only: ids of the jobs that may be taken; any if ``None``.

        Returns:
            The claim, or ``None`` where nothing waits.

        Raises:
            StorageError: the worker's lock is not held.
        """
        if not worker.is_held:
            raise StorageError(f"worker {worker.id} does not hold its lock; claim inside its 'with' block")
        wanted = queue.Wanted(tuple(offers), runner, None if only is None else tuple(only))
        with self._database.reading() as session:
            if not queue.has_work(session, worker, wanted):
                return None
        with self._database.writing() as session:
            row = queue.take(session, worker, lease_s, attempts_cap, wanted)
            session.flush()
            if row is None:
                return None
            job = jobs.job_value(row)
            return Claim(self._database, job, worker.id, row.fence, lease_s, attempts_cap)
