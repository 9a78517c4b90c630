"""Fronts of other objectives than a job's own: found from all trials once, and from what ended since.

The front of the job's own objectives is stored as trials end, see `storage.front`. Others are asked for now
and then; they are remembered here, in this process.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from search.pareto import Score, contenders
from search.trial import TrialState
from storage import jobs
from storage.front import some_trials
from storage.tables import EventRow, TrialRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.orm import Session

    from search.trial import Trial
    from storage.database import Database

REMEMBERED: Final = 32
MANY_EVENTS: Final = 2000

_CHANGE_NOTHING: Final = frozenset(
    {
        *("artifacts.freed", "finalist.skipped", "front.optimism", "job.budget", "job.state", "profile"),
        *("profile.skipped", "profile.taken", "profile.weight", "reference", "space.skipped", "trial.extras"),
        *("trial.lost", "trial.started"),
    }
)
"""Events that no trial's score comes with; one of another kind has the front found anew."""


@dataclass(frozen=True, slots=True)
class _Known:
    revision: int
    trials: tuple[Trial, ...]


class AskedFronts:
    """Remembers the contenders for the fronts that were asked for last.

    Args:
        database: with this version's schema.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()  # many who ask for the same at once wait for one of them
        self._known: OrderedDict[tuple[str, tuple[str, ...]], _Known] = OrderedDict()

    def contenders(self, job_id: str, objectives: tuple[str, ...]) -> tuple[Trial, ...]:
        """Trials of which a front of some objectives can consist, by number, without policies and intervals.

        The first call reads one row a trial; later ones what has ended since.

        Args:
            job_id: of the job.
            objectives: names of metrics.

        Raises:
            UnknownName: there is no such job.
            StorageError: the database cannot serve.
        """
        key = (job_id, objectives)
        with self._lock, self._database.reading() as session:
            revision = jobs.find(session, job_id).last_event
            known = self._known.get(key)
            if known is None or known.revision != revision:
                known = _Known(revision, _find(session, job_id, objectives, known))
                self._known[key] = known
            self._known.move_to_end(key)
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
            return known.trials


def _find(
    session: Session, job_id: str, objectives: Sequence[str], known: _Known | None
) -> tuple[Trial, ...]:
    ended = None if known is None else _ended_since(session, job_id, known.revision)
    if known is None or ended is None:
        numbers = contenders(_all_scores(session, job_id, objectives), objectives)
        return tuple(some_trials(session, job_id, numbers))
    new = some_trials(session, job_id, ended - {trial.number for trial in known.trials})
    trials = sorted([*known.trials, *new], key=lambda trial: trial.number)
    kept = set(contenders(list(_scores(trials, objectives)), objectives))
    return tuple(trial for trial in trials if trial.number in kept)


def _ended_since(session: Session, job_id: str, revision: int) -> set[int] | None:
    """Numbers of the trials that have ended, or ``None`` where more than that may have changed."""
    query = select(EventRow.kind, EventRow.data).where(EventRow.job_id == job_id, EventRow.seq > revision)
    events = session.execute(query.limit(MANY_EVENTS + 1)).all()
    told = [data for kind, data in events if kind == "trial.finished"]
    is_all = all(kind in _CHANGE_NOTHING or kind == "trial.finished" for kind, _ in events)
    return {data["trial"] for data in told} if is_all and len(events) <= MANY_EVENTS else None


def _all_scores(session: Session, job_id: str, objectives: Sequence[str]) -> list[Score]:
    """Scores of all completed trials by number; the database takes them out of the metrics."""
    count = len(objectives)
    values = [TrialRow.metrics[name, "value"].as_float() for name in objectives]
    methods = [TrialRow.metrics[name, "method"].as_string() for name in objectives]
    columns: list[Any] = [TrialRow.number, TrialRow.fidelity, *values, *methods]
    query = select(*columns).where(TrialRow.job_id == job_id, TrialRow.state == str(TrialState.COMPLETED))
    rows: Iterable[tuple[Any, ...]] = map(tuple, session.execute(query.order_by(TrialRow.number)))
    return [
        Score(row[0], row[1], tuple(row[2 : 2 + count]), tuple(row[2 + count :]))
        for row in rows
        if None not in row[2:]
    ]


def _scores(trials: Iterable[Trial], objectives: Sequence[str]) -> Iterable[Score]:
    for trial in trials:
        if trial.state is TrialState.COMPLETED and all(name in trial.metrics for name in objectives):
            found = [trial.metrics[name] for name in objectives]
            values, methods = tuple(m.value for m in found), tuple(str(m.method) for m in found)
            yield Score(trial.number, trial.fidelity, values, methods)
