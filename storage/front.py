"""A job's front and its hypervolume, kept as trials end, so that reading them costs nothing per trial.

What a front is, `search.pareto` says; here it is found from the members so far and the trial that has just
ended. A job whose front was found by another rule, or whose metrics were measured again, has it found anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import delete, insert, select

from search.pareto import find_front, hypervolume
from search.trial import Trial, TrialState
from spaces import Method, Metric, Policy, direction, metrics_from_dict
from storage.tables import FrontRow, JobRow, StepRow, TrialRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Row
    from sqlalchemy.orm import Session

FRONT_RULE: Final = 1
"""Grows when `search.pareto` comes to find other fronts from the same trials."""

MAX_STEPS: Final = 1000
CHUNK: Final = 500

_SCORES = (TrialRow.number, TrialRow.state, TrialRow.fidelity, TrialRow.seconds, TrialRow.metrics)
_NO_POLICY = Policy()


def keep_front(session: Session, job: JobRow, trial: Trial) -> None:
    """Lets a trial that has just ended join its job's front, or not.

    Args:
        session: a writing transaction.
        job: locked by this transaction.
        trial: stored, and ended.
    """
    if job.front_rule != FRONT_RULE:
        find_again(session, job)
        return
    if not trial.state.counts:
        return
    before = front_trials(session, job.id)
    front = find_front([*before, trial], _objectives(job), _reference(job))
    _replace(session, job.id, {member.number for member in before}, {t.number for t in front.trials})
    last = session.execute(
        select(StepRow.elapsed_s, StepRow.hypervolume)
        .where(StepRow.job_id == job.id)
        .order_by(StepRow.number.desc())
        .limit(1)
    ).one_or_none()
    elapsed_s, before_it = (0.0, 0.0) if last is None else last
    session.add(
        StepRow(
            job_id=job.id,
            number=trial.number,
            elapsed_s=elapsed_s + trial.seconds,
            hypervolume=front.hypervolume,
            has_risen=front.hypervolume > before_it,
        )
    )


def find_again(session: Session, job: JobRow) -> None:
    """Finds a job's front and the way of its hypervolume from all its trials.

    Args:
        session: a writing transaction.
        job: locked by this transaction.
    """
    session.flush()
    trials = [trial for trial in score_trials(session, job.id) if trial.state.is_final]
    front = find_front(trials, _objectives(job), _reference(job))
    members = {member.number for member in front_trials(session, job.id)}
    _replace(session, job.id, members, {trial.number for trial in front.trials})
    session.execute(delete(StepRow).where(StepRow.job_id == job.id))
    steps = _steps(job, [trial for trial in trials if trial.state.counts])
    if steps:
        session.execute(insert(StepRow), steps)
    job.front_rule = FRONT_RULE


def front_trials(session: Session, job_id: str) -> list[Trial]:
    """The members of a job's front by number: points, without policies and intervals."""
    joined = (FrontRow.job_id == TrialRow.job_id) & (FrontRow.number == TrialRow.number)
    query = select(*_SCORES).join(FrontRow, joined).where(FrontRow.job_id == job_id)
    return _trials(session.execute(query.order_by(TrialRow.number)))


def some_trials(session: Session, job_id: str, numbers: Collection[int]) -> list[Trial]:
    """Trials of some numbers, by number: points, without policies and intervals."""
    found: list[Trial] = []
    wanted = sorted(numbers)
    for start in range(0, len(wanted), CHUNK):
        query = select(*_SCORES).where(
            TrialRow.job_id == job_id, TrialRow.number.in_(wanted[start : start + CHUNK])
        )
        found += _trials(session.execute(query.order_by(TrialRow.number)))
    return found


def score_trials(session: Session, job_id: str) -> list[Trial]:
    """All trials of a job by number: what dominance looks at, without policies and intervals."""
    query = select(*_SCORES).where(TrialRow.job_id == job_id).order_by(TrialRow.number)
    return _trials(session.execute(query))


def read_steps(session: Session, job_id: str, limit: int = MAX_STEPS) -> list[dict[str, Any]]:
    """The hypervolume after trials that count: after each, or where there are too many, after some.

    Args:
        session: a transaction.
        job_id: the job.
        limit: most rows. Of a longer way, the trials that raised the hypervolume are given, or as many of
            them as fit, evenly spread; and always the last trial.
    """
    columns = select(StepRow.number, StepRow.elapsed_s, StepRow.hypervolume).where(StepRow.job_id == job_id)
    rows = session.execute(columns.order_by(StepRow.number).limit(limit + 1)).all()
    if len(rows) > limit:
        risen = session.execute(columns.where(StepRow.has_risen).order_by(StepRow.number)).all()
        last = session.execute(columns.order_by(StepRow.number.desc()).limit(1)).one()
        kept = [risen[i] for i in _spread(len(risen), limit - 1)]
        rows = kept if kept and kept[-1][0] == last[0] else [*kept, last]
    return [{"trial": number, "elapsed_s": s, "hypervolume": value} for number, s, value in rows]


def _spread(count: int, limit: int) -> list[int]:
    """Up to `limit` indices of a list of `count`, its ends among them."""
    if count <= limit:
        return list(range(count))
    return sorted({round(i * (count - 1) / (limit - 1)) for i in range(limit)})


def _steps(job: JobRow, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """A row for each trial that counts, by number.

    The members so far are held as an array: finding each front from trials would take minutes for a job of
    100,000. What takes part is what `search.pareto` compares: the highest fidelity, by the first's methods.
    """
    objectives, reference = _objectives(job), _reference(job)
    members: list[Trial] = []
    costs = np.empty((0, len(objectives)))
    methods: tuple[Method, ...] = ()
    fidelity = -np.inf
    elapsed_s = volume = 0.0
    rows = []
    for trial in trials:
        elapsed_s += trial.seconds
        before = volume
        if trial.state is TrialState.COMPLETED and all(name in trial.metrics for name in objectives):
            found = tuple(trial.metrics[name].method for name in objectives)
            methods = methods or found
            if found == methods and trial.fidelity > fidelity:
                members, costs, fidelity = [], costs[:0], trial.fidelity
            point = _costs([trial], objectives)
            is_new = not bool((costs <= point).all(axis=1).any())
            if found == methods and trial.fidelity == fidelity and is_new:
                kept = np.asarray(~(point <= costs).all(axis=1))
                members = [member for member, stays in zip(members, kept.tolist(), strict=True) if stays]
                members.append(trial)
                costs = np.concatenate([costs[kept], point])
                volume = hypervolume(members, objectives, reference)
        rows.append(
            {
                "job_id": job.id,
                "number": trial.number,
                "elapsed_s": elapsed_s,
                "hypervolume": volume,
                "has_risen": volume > before,
            }
        )
    return rows


def _costs(trials: Sequence[Trial], objectives: Sequence[str]) -> NDArray[np.float64]:
    signs = np.array([-1.0 if direction(name) == "maximize" else 1.0 for name in objectives])
    values = [[trial.value(name) for name in objectives] for trial in trials]
    return signs * np.array(values, dtype=np.float64).reshape(-1, len(objectives))


def _replace(session: Session, job_id: str, before: set[int], after: set[int]) -> None:
    gone = before - after
    if gone:
        session.execute(delete(FrontRow).where(FrontRow.job_id == job_id, FrontRow.number.in_(gone)))
    new = [{"job_id": job_id, "number": number} for number in sorted(after - before)]
    if new:
        session.execute(insert(FrontRow), new)


def _trials(rows: Iterable[Row[int, str, float, float, dict[str, Any]]]) -> list[Trial]:
    return [
        Trial(
            number,
            _NO_POLICY,
            {},
            "",
            state=TrialState(state),
            fidelity=fidelity,
            seconds=seconds,
            metrics={
                name: Metric(
                    metric["value"], metric["unit"], Method(metric["method"]), again=metric.get("again")
                )
                for name, metric in metrics.items()
            },
        )
        for number, state, fidelity, seconds, metrics in rows
    ]


def _objectives(job: JobRow) -> tuple[str, ...]:
    return tuple(job.spec["objectives"])


def _reference(job: JobRow) -> Any:
    return metrics_from_dict(job.reference.get("metrics", {}))
