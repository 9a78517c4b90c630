"""Why a job still waits: nobody who takes jobs of its target is there. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from search.job import JobState
from storage.columns import UtcNow
from storage.tables import JobRow, WorkerRow
from storage.workers import SILENT_S

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

PATIENCE_S: Final = 10.0
"""Workers that start together with the service are there by then."""

NOBODY: Final = "no worker "
"""How these reasons begin, and no other does."""


def find_stale(session: Session, patience_s: float) -> dict[str, str | None]:
    """What is to be said of jobs that wait, by id: those of which something else is said now.

    Args:
        session: a transaction.
        patience_s: a job that has waited for less is not spoken of.
    """
    is_there = WorkerRow.left_at.is_(None) & (WorkerRow.seen_at > UtcNow(-SILENT_S))
    offers = list(session.scalars(select(WorkerRow.offers).where(is_there)))
    takes_all = any(not targets for targets in offers)
    taken = {target for targets in offers for target in targets}
    columns = select(JobRow.id, JobRow.target, JobRow.reason)
    waiting = columns.where(JobRow.state == str(JobState.QUEUED), JobRow.created_at <= UtcNow(-patience_s))
    found = {}
    for job_id, target, said in session.execute(waiting):
        wanted = None if takes_all or target in taken else _why(target, is_empty=not offers)
        if wanted != said and (wanted is not None or (said or "").startswith(NOBODY)):
            found[job_id] = wanted
    return found


def _why(target: str, *, is_empty: bool) -> str:
    if is_empty:
        return f"{NOBODY}is there; start one with: tauten worker"
    return f"{NOBODY}offers target {target!r}; start one with: tauten worker --offers {target}"
