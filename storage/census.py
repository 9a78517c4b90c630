"""What there is, counted for monitoring; counts of trials, which are many, are kept for some seconds."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from search.job import JobState
from storage.columns import UtcNow
from storage.tables import ArtifactRow, JobRow, TrialRow
from storage.trials import FINAL
from storage.workers import WorkerList, WorkerState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.orm import Session

    from storage.database import Database

FRESH_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Census:
    """Counts at a moment.

    Attributes:
        jobs: by state; states without a job may be missing.
        oldest_queued_s: seconds that the oldest queued job waits, 0 where none does.
        trials: number and seconds of those that have ended, by state.
        workers: by state.
        artifact_bytes: of all artifacts that trials have.
    """

    jobs: Mapping[str, int]
    oldest_queued_s: float
    trials: Mapping[str, tuple[int, float]]
    workers: Mapping[str, int]
    artifact_bytes: int


class CensusTaker:
    """Counts; threads share it.

    Args:
        database: with this version's schema.
    """

    def __init__(self, database: Database) -> None:
        self._database, self._workers = database, WorkerList(database)
        self._lock = threading.Lock()
        self._trials: dict[str, tuple[int, float]] = {}
        self._counted_at = float("-inf")

    def count(self) -> Census:
        """The counts now.

        Raises:
            StorageError: the database cannot serve.
        """
        with self._database.reading() as session:
            by_state = session.execute(select(JobRow.state, func.count()).group_by(JobRow.state))
            jobs: dict[str, int] = dict(by_state.all())
            oldest = session.execute(
                select(JobRow.created_at, UtcNow())
                .where(JobRow.state == str(JobState.QUEUED))
                .order_by(JobRow.number)
                .limit(1)
            ).one_or_none()
            artifact_bytes = session.scalar(select(func.sum(ArtifactRow.size_bytes))) or 0
            trials = self._count_trials(session)
        states = Counter(str(worker.state) for worker in self._workers.all())
        return Census(
            jobs,
            0.0 if oldest is None else max(0.0, (oldest[1] - oldest[0]).total_seconds()),
            trials,
            {str(state): states[str(state)] for state in WorkerState},
            int(artifact_bytes),
        )

    def _count_trials(self, session: Session) -> dict[str, tuple[int, float]]:
        with self._lock:
            if time.monotonic() - self._counted_at > FRESH_S:
                query = select(TrialRow.state, func.count(), func.sum(TrialRow.seconds))
                rows = session.execute(query.where(TrialRow.state.in_(FINAL)).group_by(TrialRow.state))
                self._trials = {state: (count, float(seconds or 0)) for state, count, seconds in rows}
                self._counted_at = time.monotonic()
            return self._trials
