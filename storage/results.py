"""What a job has found, as documents: the front and pages of trials, without the cost of the rest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from search.pareto import find_front
from spaces import UnknownName, metrics_from_dict
from storage import jobs
from storage.asked_fronts import AskedFronts
from storage.front import CHUNK, FRONT_RULE, find_again, front_trials, read_steps
from storage.pages import Page, check_limit, decode
from storage.profiles import read_profile
from storage.tables import ArtifactRow, FrontRow, TrialRow
from storage.trials import MAX_TRIAL_NUMBER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sqlalchemy import Select
    from sqlalchemy.orm import Session

    from search.job import Job
    from search.pareto import Front
    from search.spec import Bound
    from search.trial import Trial, TrialState
    from spaces import Method
    from storage.database import Database

Document = dict[str, Any]
NUMBERS_CHUNK: Final = 2000
REMEMBERED: Final = 16

_NUMBERS: Final = (
    TrialRow.number,
    TrialRow.state,
    TrialRow.reason,
    TrialRow.origin,
    TrialRow.fidelity,
    TrialRow.seconds,
    TrialRow.metrics,
    TrialRow.extras,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A job and the points on its front.

    Attributes:
        job: as it is.
        trials: on the front of the job's own objectives, by number, without policies and intervals.
    """

    job: Job
    trials: tuple[Trial, ...]


class Results:
    """Reads trials as documents.

    Every method raises `UnknownName` where there is no such job, and `StorageError` where the database
    cannot serve.

    Args:
        database: with this version's schema.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._fronts: OrderedDict[str, Standing] = OrderedDict()
        self._found: OrderedDict[tuple[Any, ...], Front] = OrderedDict()
        self._asked = AskedFronts(database)

    def standing(self, job_id: str) -> Standing:
        """The job and its front; one that an older version left is found again first.

        The fronts of the jobs that were asked for last are remembered: each holds for its job's revision.
        """
        with self._database.reading() as session:
            row = jobs.find(session, job_id)
            job, is_kept = jobs.job_value(row), row.front_rule == FRONT_RULE
            with self._lock:
                known = self._fronts.get(job_id)
            if known is not None and known.job.revision == job.revision:
                return Standing(job, known.trials)
            if is_kept:
                return self._remember(Standing(job, tuple(front_trials(session, job_id))))
        with self._database.writing() as session:
            row = jobs.find(session, job_id, lock=True)
            find_again(session, row)
            return Standing(jobs.job_value(row), tuple(front_trials(session, job_id)))

    def _remember(self, standing: Standing) -> Standing:
        with self._lock:
            self._fronts[standing.job.id] = standing
            self._fronts.move_to_end(standing.job.id)
            while len(self._fronts) > REMEMBERED:
                self._fronts.popitem(last=False)
        return standing

    def front(
        self,
        standing: Standing,
        objectives: tuple[str, ...],
        constraints: Mapping[str, Bound],
        *,
        minimize: str | None = None,
        method: Method | None = None,
    ) -> Front:
        """The front of a job's trials, see `search.pareto.find_front`; those asked for last are remembered.

        Args:
            standing: the job and the front that is kept of its own objectives.
            objectives: to trade off; see `contenders` for others than the job's.
            constraints: limits by metric, for the choice alone.
            minimize: what the chosen trial has least of.
            method: of the objectives.
        """
        job = standing.job
        key = (job.id, job.revision, objectives, tuple(sorted(constraints.items())), minimize, method)
        with self._lock:
            found = self._found.get(key)
        if found is None:
            is_kept = objectives == job.spec.objectives and method is None
            trials = standing.trials if is_kept else self.contenders(job.id, objectives)
            reference = metrics_from_dict(job.reference.get("metrics", {}))
            found = find_front(trials, objectives, reference, constraints, minimize=minimize, method=method)
        with self._lock:
            self._found[key] = found
            self._found.move_to_end(key)
            while len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        return found

    def contenders(self, job_id: str, objectives: tuple[str, ...]) -> tuple[Trial, ...]:
        """Of all trials, as points, those of which a front of any objectives can consist.

        They are found from all trials once, and then from what has ended since.
        """
        return self._asked.contenders(job_id, objectives)

    def steps(self, job_id: str) -> list[Document]:
        """The way of the hypervolume, see `storage.front.read_steps`."""
        self.standing(job_id)
        with self._database.reading() as session:
            return read_steps(session, job_id)

    def page(
        self, job_id: str, *, limit: int = 50, cursor: str | None = None, states: Iterable[TrialState] = ()
    ) -> Page[Document]:
        """A page of trials by number.

        Raises:
            InvalidValue: at ``/cursor`` or ``/limit``.
        """
        with self._database.reading() as session:
            jobs.find(session, job_id)
            return _page(session, job_id, check_limit(limit), decode("trial", cursor), states)

    def every(self, job_id: str, states: Iterable[TrialState] = ()) -> Iterator[Document]:
        """All trials by number, read page by page: a list of any length takes the memory of one page."""
        wanted, after = tuple(states), None
        while True:
            with self._database.reading() as session:
                page = _page(session, job_id, CHUNK, after, wanted)
            yield from page.items
            if page.next_cursor is None:
                return
            after = page.items[-1]["trial"]

    def numbers(self, job_id: str, states: Iterable[TrialState] = ()) -> Iterator[Document]:
        """Like `every`, without policies, kernels, artifacts and violations.

        To read a policy of many layers takes longer than all the numbers of its trial.
        """
        wanted, after = [str(state) for state in states], -1
        while True:
            query = select(*_NUMBERS).where(TrialRow.job_id == job_id, TrialRow.number > after)
            if wanted:
                query = query.where(TrialRow.state.in_(wanted))
            with self._database.reading() as session:
                rows = session.execute(query.order_by(TrialRow.number).limit(NUMBERS_CHUNK)).all()
            for number, state, reason, origin, fidelity, seconds, metrics, extras in rows:
                yield {
                    "trial": number,
                    "state": state,
                    "reason": reason,
                    "origin": origin,
                    "fidelity": fidelity,
                    "seconds": seconds,
                    "metrics": metrics,
                    **(extras or {}),
                }
            if len(rows) < NUMBERS_CHUNK:
                return
            after = rows[-1].number

    def trials(self, job_id: str, numbers: Collection[int]) -> dict[int, Document]:
        """Some trials by number.

        Raises:
            UnknownName: there is no trial of a number.
        """
        known = sorted({number for number in numbers if 0 <= number <= MAX_TRIAL_NUMBER})
        found: dict[int, Document] = {}
        with self._database.reading() as session:
            for start in range(0, len(known), CHUNK):
                query = _rows(job_id).where(TrialRow.number.in_(known[start : start + CHUNK]))
                found |= {row.number: _document(row, artifact) for row, artifact in session.execute(query)}
        missing = next((number for number in numbers if number not in found), None)
        if missing is not None:
            raise UnknownName("trial", str(missing))
        return found

    def is_on_front(self, job_id: str, number: int) -> bool:
        """A trial is on the front of the job's own objectives."""
        with self._database.reading() as session:
            return session.get(FrontRow, (job_id, number)) is not None

    def stored_profile(self, key: str) -> Document | None:
        """A profile by its key, whichever job took it; ``None`` where there is none."""
        with self._database.reading() as session:
            return read_profile(session, key)

    def profile(self, job_id: str) -> Document | None:
        """The profile that a job uses, or ``None`` where it uses none, or none yet."""
        with self._database.reading() as session:
            key = jobs.find(session, job_id).profile_key
            return None if key is None else read_profile(session, key)


def _page(
    session: Session, job_id: str, limit: int, after: int | None, states: Iterable[TrialState]
) -> Page[Document]:
    query = _rows(job_id)
    if after is not None:
        query = query.where(TrialRow.number > after)
    wanted = [str(state) for state in states]
    if wanted:
        query = query.where(TrialRow.state.in_(wanted))
    rows = session.execute(query.order_by(TrialRow.number).limit(limit + 1)).all()
    return Page.cut(rows, limit, "trial", lambda pair: pair[0].number, lambda pair: _document(*pair))


def _rows(job_id: str) -> Select[TrialRow, ArtifactRow]:
    return select(TrialRow, ArtifactRow).outerjoin(ArtifactRow).where(TrialRow.job_id == job_id)


def _document(row: TrialRow, artifact: ArtifactRow | None) -> Document:
    """A trial in the form of `search.trial.Trial.to_dict`, with what is known besides; not checked again."""
    return {
        "trial": row.number,
        "state": row.state,
        "reason": row.reason,
        "origin": row.origin,
        "fidelity": row.fidelity,
        "policy_digest": row.policy_digest,
        "policy": row.policy,
        "metrics": row.metrics,
        "executed_as": row.executed_as,
        "artifact": artifact and {"digest": artifact.digest, "size_bytes": artifact.size_bytes},
        "violates": row.violates,
        "seconds": row.seconds,
        **(row.extras or {}),
    }
