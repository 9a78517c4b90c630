"""Jobs in the database: rows to values, submission, pages, and the life that a user directs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from search.job import Job, JobState, Keep, Progress
from search.spec import MAX_TRIALS, JobSpec
from spaces import Conflict, InvalidValue, UnknownName, digest_of, shown
from storage.database import insert_into
from storage.events import change_state, record
from storage.front import FRONT_RULE
from storage.pages import Page, check_limit, decode
from storage.quotas import check_queued
from storage.retention import artifacts_of, forget_unused
from storage.tables import JobRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.orm import Session

    from search.trial import ArtifactRef

ID_LENGTH: Final = 16
ID_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: nothing that a person could misread
MAX_KEY_LENGTH: Final = 200
MAX_PRIORITY: Final = 100


class StaleWrite(Conflict):
    """A job has changed since the writer last saw it.

    Attributes:
        job_id: the job.
        revision: that it has now.
    """

    def __init__(self, job_id: str, revision: int) -> None:
        self.job_id, self.revision = job_id, revision
        super().__init__(f"job {job_id} has changed meanwhile, to revision {revision}; read it again")


class IdempotencyMismatch(Conflict):
    """An idempotency key was used before, for another specification.

    Attributes:
        key: the key.
        job_id: the job that it created.
    """

    def __init__(self, key: str, job_id: str) -> None:
        self.key, self.job_id = key, job_id
        super().__init__(
            f"idempotency key {key!r} created job {job_id} from another specification; use a new key"
        )


def job_value(row: JobRow) -> Job:
    """A row as a value."""
    trials = row.progress["trials"]
    others = {name: row.progress[name] for name in ("hypervolume", "elapsed_s", "expected_s")}
    return Job(
        id=row.id,
        spec=JobSpec.from_dict(row.spec),
        state=JobState(row.state),
        reason=row.reason,
        attempt=row.attempt,
        progress=Progress(trials["done"], trials["total"], **others),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        reference=row.reference,
        priority=row.priority,
        keep=Keep(row.keep),
        last_error=row.last_error,
        revision=row.last_event,
    )


def find(
    session: Session, job_id: str, *, lock: bool = False, revisions: Collection[int] | None = None
) -> JobRow:
    """A job's row.

    Args:
        session: a transaction.
        job_id: the job.
        lock: no other transaction may change the job before this one ends. SQLite needs no row lock, and
            SQLAlchemy leaves it out there: a writing transaction has the whole file.
        revisions: of which the job must have one, where they are given.

    Raises:
        UnknownName: there is no such job.
        StaleWrite: the job has another revision.
    """
    query = select(JobRow).where(JobRow.id == job_id)
    row = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownName("job", job_id)
    if revisions is not None and row.last_event not in revisions:
        raise StaleWrite(job_id, row.last_event)
    return row


@dataclass(frozen=True, slots=True)
class Submission:
    """What a user says of a job besides its specification.

    Attributes:
        idempotency_key: of an owner, the same key makes the same job once.
        owner: id of the API key, or ``None``.
        priority: higher is taken first.
        keep: whose artifacts stay when the job has ended: all, those on the front, or none.
    """

    idempotency_key: str | None = None
    owner: str | None = None
    priority: int = 0
    keep: Keep = Keep.ALL

    def __post_init__(self) -> None:
        key = self.idempotency_key
        if key is not None and not 0 < len(key) <= MAX_KEY_LENGTH:
            detail = f"must have 1 to {MAX_KEY_LENGTH} characters, not {len(key)}"
            raise InvalidValue.at("/idempotency_key", detail)
        if not -MAX_PRIORITY <= self.priority <= MAX_PRIORITY:
            detail = f"must be from {-MAX_PRIORITY} to {MAX_PRIORITY}, not {shown(self.priority)}"
            raise InvalidValue.at("/priority", detail)

    @property
    def stored_key(self) -> str | None:
        """The key as it is stored: those of different owners never meet."""
        key = self.idempotency_key
        return key if key is None or self.owner is None else f"{self.owner}/{key}"


def submit(session: Session, spec: JobSpec, asked: Submission) -> tuple[JobRow, bool]:
    """Queues a job, or finds the one that the idempotency key created.

    Returns:
        The job, and whether it was created now.

    Raises:
        IdempotencyMismatch: the key was used for another specification.
        QuotaExceeded: as many of the owner's jobs wait as may.
    """
    key = asked.stored_key
    document = spec.to_dict()
    # The digest ignores the order of keys, but the first layer rule that matches holds.
    submitted = digest_of([document, list(spec.space.layers), *_beside(asked)])
    if key is not None and (earlier := _earlier(session, key, submitted)) is not None:
        return earlier, False
    check_queued(session, asked.owner)
    values: dict[str, Any] = {
        "id": "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH)),
        "idempotency_key": key,
        "submitted": submitted,
        "workload": spec.workload,
        "target": spec.target,
        "spec": document,
        "state": str(JobState.QUEUED),
        "progress": Progress(total=spec.budget.trials).to_dict(),
        "reference": {},
        "owner": asked.owner,
        "priority": asked.priority,
        "keep": str(asked.keep),
        "front_rule": FRONT_RULE,
    }
    insert = insert_into(session, JobRow).values(**values)
    statement = insert.on_conflict_do_nothing(index_elements=["idempotency_key"]).returning(JobRow)
    row = session.scalars(statement).one_or_none()
    if row is not None:
        change_state(session, row, JobState.QUEUED)
        return row, True
    found = _earlier(session, key or "", submitted)
    if found is None:
        raise Conflict(f"the job of idempotency key {key!r} was deleted just now; submit again")
    return found, False


def page_of_jobs(
    session: Session,
    limit: int,
    cursor: str | None,
    states: Iterable[JobState],
    workload: str | None,
    target: str | None,
) -> Page[Job]:
    """A page of jobs, newest first.

    Raises:
        InvalidValue: at ``/cursor`` or ``/limit``.
    """
    before = decode("job", cursor)
    query = select(JobRow)
    if before is not None:
        query = query.where(JobRow.number < before)
    wanted = [str(state) for state in states]
    if wanted:
        query = query.where(JobRow.state.in_(wanted))
    if workload is not None:
        query = query.where(JobRow.workload == workload)
    if target is not None:
        query = query.where(JobRow.target == target)
    rows = session.scalars(query.order_by(JobRow.number.desc()).limit(check_limit(limit) + 1)).all()
    return Page.cut(rows, limit, "job", lambda row: row.number, job_value)


def cancel(session: Session, row: JobRow) -> None:
    """Ends a job that nobody works on; asks the worker to end it otherwise. Asking twice changes nothing.

    Raises:
        Conflict: the job has ended otherwise.
    """
    state = JobState(row.state)
    if state in {JobState.CANCELLING, JobState.CANCELLED}:
        return
    _refuse_final(row, "cancelled")
    change_state(session, row, JobState.CANCELLED if row.worker is None else JobState.CANCELLING)


def pause(session: Session, row: JobRow) -> None:
    """Holds a job; its worker lets go when it next looks. Asking twice changes nothing.

    Raises:
        Conflict: the job has ended or is being cancelled.
    """
    if row.state == JobState.PAUSED:
        return
    _refuse_final(row, "paused")
    change_state(session, row, JobState.PAUSED)


def resume(session: Session, row: JobRow) -> None:
    """Lets a paused job go on: with the worker that still holds it, else in the queue.

    Raises:
        Conflict: the job has ended or is being cancelled.
    """
    if row.state in {JobState.QUEUED, JobState.RUNNING}:
        return
    _refuse_final(row, "resumed")
    change_state(session, row, JobState.QUEUED if row.worker is None else JobState.RUNNING)


def raise_budget(session: Session, row: JobRow, trials: int) -> None:
    """Raises the budget; a job that had used up the old one is queued again.

    Raises:
        InvalidValue: at ``/budget/trials``: not more than now, or more than any job may have.
        Conflict: the job failed, was cancelled or is being cancelled.
    """
    budget = row.spec["budget"]
    if "source" in row.spec:
        raise Conflict(f"job {row.id} scores the trials of another job, and has no more than it was given")
    if not budget["trials"] < trials <= MAX_TRIALS:
        detail = f"can only be raised: above {budget['trials']} and at most {MAX_TRIALS}, not {shown(trials)}"
        raise InvalidValue.at("/budget/trials", detail)
    if row.state != JobState.SUCCEEDED:
        _refuse_final(row, "continued")
    elif row.keep != Keep.ALL:
        raise Conflict(
            f"job {row.id} has ended and kept {row.keep} of its artifacts, so it cannot be continued; "
            "submit a job with keep: all"
        )
    row.spec = row.spec | {"budget": budget | {"trials": trials}}
    row.progress = row.progress | {"trials": row.progress["trials"] | {"total": trials}}
    record(session, row, "job.budget", {"trials": trials})
    if row.state == JobState.SUCCEEDED:
        row.fruitless = 0
        change_state(session, row, JobState.QUEUED, f"budget raised to {trials} trials")


def delete(session: Session, row: JobRow) -> list[ArtifactRef]:
    """Removes a job that has ended, with its trials and events.

    Returns:
        The artifacts that no other job has, whose files may go.

    Raises:
        Conflict: the job has not ended.
    """
    if not JobState(row.state).is_final:
        raise Conflict(f"job {row.id} is {row.state}; cancel it before deleting it")
    digests = artifacts_of(session, row.id)
    session.delete(row)
    session.flush()
    return forget_unused(session, digests)


def _earlier(session: Session, key: str, submitted: str) -> JobRow | None:
    """The job that a key created.

    Raises:
        IdempotencyMismatch: from another submission.
    """
    row = session.scalars(select(JobRow).where(JobRow.idempotency_key == key)).one_or_none()
    if row is not None and row.submitted != submitted:
        raise IdempotencyMismatch(key.rpartition("/")[2] if row.owner else key, row.id)
    return row


def _beside(asked: Submission) -> list[Any]:
    """What a submission's digest holds besides the specification, where it is not the default."""
    values = {"priority": asked.priority, "keep": str(asked.keep)}
    defaults = {"priority": 0, "keep": str(Keep.ALL)}
    return [values] if values != defaults else []


def _refuse_final(row: JobRow, what: str) -> None:
    state = JobState(row.state)
    if state.is_final or state is JobState.CANCELLING:
        raise Conflict(f"job {row.id} is {row.state} and cannot be {what}")
