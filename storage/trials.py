"""Trials in the database: rows to values and back, pages, and what becomes of those whose worker is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from search.trial import ArtifactRef, Trial, TrialState
from spaces import Conflict, Policy, UnknownName, metrics_from_dict, metrics_to_dict
from storage.database import insert_into
from storage.events import record
from storage.pages import Page, check_limit, decode
from storage.tables import ArtifactRow, JobRow, TrialRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session

MAX_TRIAL_NUMBER: Final = 2**63 - 1
"""What the column holds; a larger number is unknown rather than an error of the database."""

FINAL: Final = tuple(str(state) for state in TrialState if state.is_final)


def write_trial(session: Session, job: JobRow, trial: Trial) -> None:
    """Stores a trial with its artifact's row; a row of the same number that has not ended is overwritten.

    Args:
        session: a writing transaction.
        job: locked by this transaction.
        trial: in any state.

    Raises:
        Conflict: the number has ended already.
    """
    row = session.get(TrialRow, (job.id, trial.number))
    if row is not None and TrialState(row.state).is_final:
        raise Conflict(f"trial {trial.number} of job {job.id} is {row.state} already; a number is given once")
    if trial.artifact is not None:
        _keep_artifact(session, trial.artifact)
    if row is None:
        row = TrialRow(job_id=job.id, number=trial.number)
        session.add(row)
    for name, value in _columns(trial).items():
        setattr(row, name, value)


def lose_running(session: Session, job: JobRow, reason: str, only: int | None = None) -> list[int]:
    """Marks the trials that were running as lost, so that their numbers run again.

    Args:
        session: a writing transaction.
        job: locked by this transaction.
        reason: one line for a person.
        only: number of the one trial that is lost; ``None`` for all.

    Returns:
        Their numbers, ascending.
    """
    running = [TrialRow.job_id == job.id, TrialRow.state == str(TrialState.RUNNING)]
    if only is not None:
        running.append(TrialRow.number == only)
    lost = session.scalars(
        update(TrialRow)
        .where(*running)
        .values(state=str(TrialState.LOST), reason=reason)
        .returning(TrialRow.number)
        .execution_options(synchronize_session=False)
    )
    numbers = sorted(lost)
    for number in numbers:
        record(session, job, "trial.lost", {"trial": number, "reason": reason})
    return numbers


def final_row(session: Session, job_id: str, number: int) -> TrialRow:
    """The row of a trial that has ended.

    Raises:
        UnknownName: there is no such trial.
        Conflict: it has not ended.
    """
    row = session.get(TrialRow, (job_id, number))
    if row is None:
        raise UnknownName("trial", str(number))
    if not TrialState(row.state).is_final:
        raise Conflict(f"trial {number} of job {job_id} is {row.state}; it can be amended once it has ended")
    return row


def read_trials(session: Session, job_id: str, states: Iterable[str] = ()) -> list[Trial]:
    """A job's trials, by number; only those in some states where any are given."""
    query = select(TrialRow, ArtifactRow).outerjoin(ArtifactRow).where(TrialRow.job_id == job_id)
    wanted = [str(state) for state in states]
    if wanted:
        query = query.where(TrialRow.state.in_(wanted))
    return [_value(row, artifact) for row, artifact in session.execute(query.order_by(TrialRow.number))]


def read_trial(session: Session, job_id: str, number: int) -> Trial:
    """One trial.

    Raises:
        UnknownName: there is no such trial.
    """
    row = session.get(TrialRow, (job_id, number)) if 0 <= number <= MAX_TRIAL_NUMBER else None
    if row is None:
        raise UnknownName("trial", str(number))
    artifact = None if row.artifact_digest is None else session.get(ArtifactRow, row.artifact_digest)
    return _value(row, artifact)


def page_of_trials(
    session: Session, job_id: str, limit: int, cursor: str | None, states: Iterable[TrialState]
) -> Page[Trial]:
    """A page of a job's trials, by number.

    Raises:
        InvalidValue: at ``/cursor`` or ``/limit``.
    """
    after = decode("trial", cursor)
    query = select(TrialRow, ArtifactRow).outerjoin(ArtifactRow).where(TrialRow.job_id == job_id)
    if after is not None:
        query = query.where(TrialRow.number > after)
    wanted = [str(state) for state in states]
    if wanted:
        query = query.where(TrialRow.state.in_(wanted))
    query = query.order_by(TrialRow.number).limit(check_limit(limit) + 1)
    rows = session.execute(query).all()
    return Page.cut(rows, limit, "trial", lambda pair: pair[0].number, lambda pair: _value(*pair))


def _columns(trial: Trial) -> dict[str, Any]:
    return {
        "state": str(trial.state),
        "reason": trial.reason,
        "origin": trial.origin,
        "fidelity": trial.fidelity,
        "seconds": trial.seconds,
        "policy_digest": trial.policy.digest,
        "policy": trial.policy.to_dict(),
        "point": dict(trial.point),
        "sampler_state": dict(trial.sampler_state),
        "metrics": metrics_to_dict(trial.metrics),
        "executed_as": dict(trial.executed_as),
        "violates": dict(trial.violates),
        "artifact_digest": trial.artifact and trial.artifact.digest,
    }


def _value(row: TrialRow, artifact: ArtifactRow | None) -> Trial:
    return Trial(
        number=row.number,
        policy=Policy.from_dict(row.policy),
        point=row.point,
        origin=row.origin,
        sampler_state=row.sampler_state,
        state=TrialState(row.state),
        reason=row.reason,
        fidelity=row.fidelity,
        metrics=metrics_from_dict(row.metrics),
        executed_as=row.executed_as,
        artifact=None if artifact is None else ArtifactRef(artifact.digest, artifact.size_bytes),
        violates=row.violates,
        seconds=row.seconds,
    )


def _keep_artifact(session: Session, artifact: ArtifactRef) -> None:
    values = {"digest": artifact.digest, "size_bytes": artifact.size_bytes}
    session.execute(insert_into(session, ArtifactRow).values(**values).on_conflict_do_nothing())
