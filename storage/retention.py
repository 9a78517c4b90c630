"""Which artifacts stay: what a job keeps once it has ended, and what no job has any more. Removes no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, select, update

from search.job import Keep
from search.trial import ArtifactRef
from storage.events import record
from storage.tables import ArtifactRow, FrontRow, JobRow, TrialRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.orm import Session


def free_artifacts(session: Session, job: JobRow) -> list[ArtifactRef]:
    """Lets go of the artifacts that a job that has ended does not keep, and tells how much that frees.

    Args:
        session: a writing transaction.
        job: locked by this transaction.

    Returns:
        The artifacts that nothing refers to any more.
    """
    keep = Keep(job.keep)
    if keep is Keep.ALL:
        return []
    freed = (TrialRow.job_id == job.id) & TrialRow.artifact_digest.is_not(None)
    if keep is Keep.FRONT:
        freed &= TrialRow.number.not_in(select(FrontRow.number).where(FrontRow.job_id == job.id))
    digests = session.scalars(select(TrialRow.artifact_digest).where(freed)).all()
    if not digests:
        return []
    session.execute(update(TrialRow).where(freed).values(artifact_digest=None))
    gone = forget_unused(session, [digest for digest in digests if digest is not None])
    told = {"trials": len(digests), "artifacts": len(gone), "size_bytes": sum(a.size_bytes for a in gone)}
    record(session, job, "artifacts.freed", told)
    return gone


def artifacts_of(session: Session, job_id: str) -> list[str]:
    """Digests of the artifacts of a job's trials."""
    query = select(TrialRow.artifact_digest).distinct().where(TrialRow.job_id == job_id)
    return [digest for digest in session.scalars(query) if digest is not None]


def forget_unused(session: Session, digests: Iterable[str] | None = None) -> list[ArtifactRef]:
    """Removes the rows of artifacts that no trial has.

    Args:
        session: a writing transaction.
        digests: only these; all where none are given.
    """
    unused = ~exists().where(TrialRow.artifact_digest == ArtifactRow.digest)
    statement = delete(ArtifactRow).where(unused)
    if digests is None:
        return _removed(session, statement)
    found, wanted = [], sorted(set(digests))
    for start in range(0, len(wanted), 500):  # SQLite and PostgreSQL bound the parameters of a statement
        part = wanted[start : start + 500]
        found += _removed(session, statement.where(ArtifactRow.digest.in_(part)))
    return found


def used_digests(session: Session) -> set[str]:
    """Every artifact that a trial has, or that is the uncompressed model of a job."""
    used = set(session.scalars(select(ArtifactRow.digest)))
    for reference in session.scalars(select(JobRow.reference)):
        digest = reference.get("artifact", {}).get("digest")
        if digest is not None:
            used.add(digest)
    return used


def _removed(session: Session, statement: Any) -> list[ArtifactRef]:
    columns = statement.returning(ArtifactRow.digest, ArtifactRow.size_bytes)
    return [ArtifactRef(digest, size) for digest, size in session.execute(columns)]
