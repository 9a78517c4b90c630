"""Jobs in the database: rows to values, submission, pages, and the life that a user directs."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from search.job import Job, JobState, Progress
from search.spec import MAX_TRIALS, JobSpec
from spaces import Conflict, InvalidValue, UnknownName, digest_of, shown
from storage.database import insert_into
from storage.events import change_state, record
from storage.pages import Page, check_limit, decode
from storage.tables import JobRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

ID_LENGTH: Final = 16
ID_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: nothing that a person could misread
MAX_KEY_LENGTH: Final = 255


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
    )


def find(session: Session, job_id: str, *, lock: bool = False) -> JobRow:
    """A job's row.

    Args:
        session: a transaction.
        job_id: the job.
        lock: no other transaction may change the job before this one ends. SQLite needs no row lock, and
            SQLAlchemy leaves it out there: a writing transaction has the whole file.

    Raises:
        UnknownName: there is no such job.
    """
    query = select(JobRow).where(JobRow.id == job_id)
    row = session.scalars(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownName("job", job_id)
    return row


def submit(session: Session, spec: JobSpec, key: str | None) -> tuple[JobRow, bool]:
    """Queues a job, or finds the one that the idempotency key created.

    Returns:
        The job, and whether it was created now.

    Raises:
        IdempotencyMismatch: the key was used for another specification.
        InvalidValue: the key is empty or too long.
    """
    if key is not None and not 0 < len(key) <= MAX_KEY_LENGTH:
        raise InvalidValue.at(
            "/idempotency_key", f"must have 1 to {MAX_KEY_LENGTH} characters, not {len(key)}"
        )
    document = spec.to_dict()
    # The digest ignores the order of keys, but the first layer rule that matches holds.
    submitted = digest_of([document, list(spec.space.layers)])
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
    }
    insert = insert_into(session, JobRow).values(**values)
    statement = insert.on_conflict_do_nothing(index_elements=["idempotency_key"]).returning(JobRow)
    row = session.scalars(statement).one_or_none()
    if row is not None:
        change_state(session, row, JobState.QUEUED)
        return row, True
    earlier = session.scalars(select(JobRow).where(JobRow.idempotency_key == key)).one_or_none()
    if earlier is None:
        raise Conflict(f"the job of idempotency key {key!r} was deleted just now; submit again")
    if earlier.submitted != submitted:
        raise IdempotencyMismatch(key or "", earlier.id)
    return earlier, False


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
    if not budget["trials"] < trials <= MAX_TRIALS:
        detail = f"can only be raised: above {budget['trials']} and at most {MAX_TRIALS}, not {shown(trials)}"
        raise InvalidValue.at("/budget/trials", detail)
    if row.state != JobState.SUCCEEDED:
        _refuse_final(row, "continued")
    row.spec = row.spec | {"budget": budget | {"trials": trials}}
    row.progress = row.progress | {"trials": row.progress["trials"] | {"total": trials}}
    record(session, row, "job.budget", {"trials": trials})
    if row.state == JobState.SUCCEEDED:
        row.fruitless = 0
        change_state(session, row, JobState.QUEUED, f"budget raised to {trials} trials")


def delete(session: Session, row: JobRow) -> None:
    """Removes a job that has ended, with its trials and events.

    Raises:
        Conflict: the job has not ended.
    """
    if not JobState(row.state).is_final:
        raise Conflict(f"job {row.id} is {row.state}; cancel it before deleting it")
    session.delete(row)


def _refuse_final(row: JobRow, what: str) -> None:
    state = JobState(row.state)
    if state.is_final or state is JobState.CANCELLING:
        raise Conflict(f"job {row.id} is {row.state} and cannot be {what}")
