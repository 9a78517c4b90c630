"""What happened to a job, in order and without gaps; an event is stored with what it tells, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from search.job import JobState
from spaces import InvalidValue, shown
from storage.columns import UtcNow
from storage.pages import check_limit
from storage.tables import EventRow, JobRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy.orm import Session


MAX_SEQ: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job.

    Attributes:
        seq: 1, 2, 3 … within the job.
        kind: such as ``job.state`` or ``trial.finished``.
        at: UTC, in the database's clock.
        data: what is told; its form depends on the kind.
    """

    seq: int
    kind: str
    at: datetime
    data: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        at = self.at.isoformat().replace("+00:00", "Z")
        return {"seq": self.seq, "kind": self.kind, "at": at, "data": self.data}


@dataclass(frozen=True, slots=True)
class Standpoint:
    """How far a job has come.

    Attributes:
        revision: number of its newest event.
        is_final: it has ended.
        is_gone: it was deleted.
    """

    revision: int
    is_final: bool
    is_gone: bool = False


def record(session: Session, job: JobRow, kind: str, data: dict[str, Any]) -> None:
    """Appends an event to a job.

    Args:
        session: a writing transaction.
        job: locked by this transaction, which is what keeps the numbers without gaps.
        kind: of event.
        data: a JSON document.
    """
    job.last_event += 1
    session.add(EventRow(job_id=job.id, seq=job.last_event, kind=kind, data=data))


def change_state(session: Session, job: JobRow, state: JobState, reason: str | None = None) -> None:
    """Moves a job to a state and tells so; a final state ends the claim.

    Args:
        session: a writing transaction.
        job: locked by this transaction.
        state: the new one.
        reason: one line for a person.
    """
    job.state, job.reason = str(state), reason
    job.ended_at = session.scalar(select(UtcNow())) if state.is_final else None
    if state.is_final:
        job.worker = job.lease_until = None
    record(session, job, "job.state", {"state": str(state), "reason": reason})


def read_standpoints(session: Session, job_ids: Sequence[str]) -> dict[str, Standpoint]:
    """Where some jobs stand; those that are gone are left out."""
    found = {}
    for start in range(0, len(job_ids), 500):
        columns = select(JobRow.id, JobRow.last_event, JobRow.state)
        for job_id, revision, state in session.execute(
            columns.where(JobRow.id.in_(job_ids[start : start + 500]))
        ):
            found[job_id] = Standpoint(revision, JobState(state).is_final)
    return found


def read_events(session: Session, job_id: str, after: int, limit: int) -> list[Event]:
    """A job's events after a number, oldest first.

    Raises:
        InvalidValue: at ``/after`` or ``/limit``.
    """
    if not 0 <= after <= MAX_SEQ:
        raise InvalidValue.at("/after", f"must be the number of an event, not {shown(after)}")
    query = select(EventRow).where(EventRow.job_id == job_id, EventRow.seq > after)
    rows = session.scalars(query.order_by(EventRow.seq).limit(check_limit(limit)))
    return [Event(row.seq, row.kind, row.at, row.data) for row in rows]
