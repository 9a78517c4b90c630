"""Which workers there are, and what each does; told by themselves, judged in the database's clock."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, select, update

from storage.columns import UtcNow
from storage.database import insert_into
from storage.queue import HELD
from storage.tables import JobRow, WorkerRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from storage.database import Database

SILENT_S: Final = 20.0
"""A worker that was not heard of for so long counts as gone; several of its beats."""

BEAT_S: Final = 5.0
FORGET_S: Final = 86_400


class WorkerState(StrEnum):
    """What a worker does."""

    IDLE = "idle"
    BUSY = "busy"
    SILENT = "silent"  # not heard of: killed, frozen, or cut off from the database
    STOPPED = "stopped"  # ended in order


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker process.

    Attributes:
        id: unique; begins with its host.
        host: name of its machine.
        pid: of its process.
        state: what it does.
        offers: targets whose jobs it takes; empty for all.
        job: id of the job that it holds, or ``None``.
        started_at: UTC, in the database's clock, as all times.
        seen_at: when it was last heard of.
    """

    id: str
    host: str
    pid: int
    state: WorkerState
    offers: tuple[str, ...]
    job: str | None
    started_at: datetime
    seen_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """The form that HTTP has."""
        return {
            "id": self.id,
            "name": f"{self.host}:{self.pid}",
            "host": self.host,
            "state": str(self.state),
            "offers": list(self.offers),
            "job": self.job,
            "started_at": self.started_at.isoformat().replace("+00:00", "Z"),
            "seen_at": self.seen_at.isoformat().replace("+00:00", "Z"),
        }


class WorkerList:
    """The list of workers.

    Every method raises `StorageError` where the database cannot serve.

    Args:
        database: with this version's schema.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(self, worker: str, host: str, offers: Sequence[str] = ()) -> None:
        """A worker of this process begins; those that were not heard of for a day are forgotten."""
        with self._database.writing() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.seen_at < UtcNow(-FORGET_S)))
            values = {"id": worker, "host": host, "pid": os.getpid(), "offers": list(offers)}
            insert = insert_into(session, WorkerRow).values(**values)
            fresh = {"seen_at": UtcNow(), "left_at": None}
            session.execute(insert.on_conflict_do_update(index_elements=["id"], set_=fresh))

    def beat(self, worker: str) -> None:
        """A worker lives."""
        with self._database.writing() as session:
            session.execute(update(WorkerRow).where(WorkerRow.id == worker).values(seen_at=UtcNow()))

    def leave(self, worker: str) -> None:
        """A worker ends in order."""
        with self._database.writing() as session:
            values = {"seen_at": UtcNow(), "left_at": UtcNow()}
            session.execute(update(WorkerRow).where(WorkerRow.id == worker).values(**values))

    def all(self) -> list[Worker]:
        """Every worker heard of within a day, the newest first."""
        holds = (JobRow.worker == WorkerRow.id) & JobRow.state.in_(HELD)
        query = select(WorkerRow, JobRow.id, UtcNow()).outerjoin(JobRow, holds)
        with self._database.reading() as session:
            rows = session.execute(query.order_by(WorkerRow.started_at.desc(), WorkerRow.id)).all()
        return [_worker(row, job, now) for row, job, now in rows]


def _worker(row: WorkerRow, job: str | None, now: datetime) -> Worker:
    if row.left_at is not None:
        state = WorkerState.STOPPED
    elif now - row.seen_at > timedelta(seconds=SILENT_S):
        state = WorkerState.SILENT
    else:
        state = WorkerState.IDLE if job is None else WorkerState.BUSY
    return Worker(row.id, row.host, row.pid, state, tuple(row.offers), job, row.started_at, row.seen_at)
