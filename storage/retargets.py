"""Jobs that score the trials of another: made of copies, so that the job they came from may be deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from search.job import JobState
from search.trial import Trial, TrialState
from spaces import Conflict, InvalidValue
from storage import jobs
from storage.events import record
from storage.tables import FrontRow, JobRow, TrialRow
from storage.trials import read_trials

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from search.job import Job
    from search.source import Wanted
    from search.spec import JobSpec

BEFORE: Final = "before"
"""Beside a trial: what the job that made it found."""

NAMED: Final = 10


def retarget(
    session: Session,
    source: JobRow,
    aim: Callable[[Job, int], JobSpec],
    wanted: Wanted,
    asked: jobs.Submission,
) -> tuple[JobRow, bool]:
    """Queues a job that scores completed trials of another job, under the same numbers.

    Args:
        session: a writing transaction.
        source: locked by this transaction.
        aim: makes the new job's specification, given the job and the number of its trials.
        wanted: which trials.
        asked: what the user says besides.

    Returns:
        The job, and whether it was created now.

    Raises:
        Conflict: the job has not ended, or has nothing that could be scored.
        InvalidValue: at ``/trials``: a trial did not complete, or its artifact was not kept.
        IdempotencyMismatch: the key was used for another submission.
    """
    if not JobState(source.state).is_final:
        raise Conflict(
            f"job {source.id} is {source.state}; its trials can be scored elsewhere once it has ended"
        )
    rows = _chosen(session, source, wanted)
    job, is_new = jobs.submit(session, aim(jobs.job_value(source), len(rows)), asked)
    if not is_new:
        return job, False
    for row in rows:
        session.add(_copy(row, job, source.target))
    record(session, source, "job.retargeted", {"job": job.id, "target": job.target, "trials": len(rows)})
    return job, True


def read_waiting(session: Session, job_id: str) -> list[tuple[Trial, dict[str, Any]]]:
    """The trials of such a job that have not ended, by number, each with what its source found."""
    unfinished = [str(state) for state in TrialState if not state.is_final]
    query = select(TrialRow.number, TrialRow.extras).where(TrialRow.job_id == job_id)
    extras = {number: document or {} for number, document in session.execute(query)}
    trials = read_trials(session, job_id, unfinished)
    return [(trial, extras[trial.number][BEFORE]) for trial in trials if BEFORE in extras[trial.number]]


def _chosen(session: Session, source: JobRow, wanted: Wanted) -> list[TrialRow]:
    query = select(TrialRow).where(TrialRow.job_id == source.id).order_by(TrialRow.number)
    usable = (TrialRow.state == str(TrialState.COMPLETED)) & TrialRow.artifact_digest.is_not(None)
    if wanted == "front":
        usable &= TrialRow.number.in_(select(FrontRow.number).where(FrontRow.job_id == source.id))
    rows = list(session.scalars(query.where(usable)))
    if not rows:
        raise Conflict(f"job {source.id} has no completed trial whose artifact it keeps")
    if isinstance(wanted, str):
        return rows
    missing = sorted(set(wanted) - {row.number for row in rows})
    if missing or not wanted:
        named = ", ".join(map(str, missing[:NAMED]))
        detail = f"no completed trials of job {source.id} whose artifacts it keeps: {named}"
        raise InvalidValue.at("/trials", detail if missing else "is empty; name one trial or more")
    return [row for row in rows if row.number in wanted]


def _copy(row: TrialRow, job: JobRow, target: str) -> TrialRow:
    """A trial that waits, with the artifact, which stays as long as any trial has it."""
    before = {"target": target, "metrics": row.metrics, "executed_as": row.executed_as}
    return TrialRow(
        job_id=job.id,
        number=row.number,
        state=str(TrialState.WAITING),
        reason=None,
        origin=row.origin,
        fidelity=row.fidelity,
        seconds=0.0,
        policy_digest=row.policy_digest,
        policy=row.policy,
        point=row.point,
        sampler_state=row.sampler_state,
        metrics={},
        executed_as={},
        violates={},
        artifact_digest=row.artifact_digest,
        extras={BEFORE: before},
    )
