"""How many jobs the owner of an API key may have waiting and running; held where all processes see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Select, func, select

from search.job import JobState
from spaces import Conflict
from storage.tables import JobRow, KeyRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class QuotaExceeded(Conflict):
    """As many of an owner's jobs wait as their key allows.

    Attributes:
        limit: jobs that may wait.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"{limit} of your jobs wait already, which is your key's limit; try again later")


def check_queued(session: Session, owner: str | None) -> None:
    """Passes where one more job may wait.

    Args:
        session: a writing transaction; the key is locked, so that two submissions count one after the other.
        owner: id of the API key, or ``None`` for no limit.

    Raises:
        QuotaExceeded: none may.
    """
    key = _locked(session, owner)
    if key is None or key.max_queued is None:
        return
    if _count(session, key.id, JobState.QUEUED) >= key.max_queued:
        raise QuotaExceeded(key.max_queued)


def may_run(session: Session, owner: str | None) -> bool:
    """One more job of an owner may run: asked once it was taken, since two workers may take at once."""
    key = _locked(session, owner)
    return key is None or key.max_running is None or _count(session, key.id) < key.max_running


def at_their_limit() -> Select[str]:
    """Ids of the keys that run as many jobs as they may."""
    running = (JobRow.owner == KeyRow.id) & JobRow.worker.is_not(None)
    counted = select(KeyRow.id).outerjoin(JobRow, running).where(KeyRow.max_running.is_not(None))
    return counted.group_by(KeyRow.id, KeyRow.max_running).having(
        func.count(JobRow.number) >= KeyRow.max_running
    )


def _locked(session: Session, owner: str | None) -> KeyRow | None:
    if owner is None:
        return None
    return session.scalars(select(KeyRow).where(KeyRow.id == owner).with_for_update()).one_or_none()


def _count(session: Session, owner: str, state: JobState | None = None) -> int:
    """Jobs of an owner in a state; without one, those that a worker holds besides one taken just now."""
    query = select(func.count()).select_from(JobRow).where(JobRow.owner == owner)
    if state is not None:
        return session.scalar(query.where(JobRow.state == str(state))) or 0
    return session.scalar(query.where(JobRow.worker.is_not(None), JobRow.state != str(JobState.QUEUED))) or 0
