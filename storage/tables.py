"""The tables, as typed rows; they never leave this package, which takes and returns the domain's values."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads the annotations
from typing import Any

from sqlalchemy import BigInteger, Double, ForeignKey, Index, Integer, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.columns import Document, Line, Name, UtcDateTime, UtcNow

# SQLite counts only a column of type INTEGER up by itself.
Number = BigInteger().with_variant(Integer, "sqlite")


class Table(DeclarativeBase):
    """Holds the metadata; constraints have names, so that a migration can address them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class JobRow(Table):
    """A job, and its place in the queue.

    Attributes:
        number: order of submission; the key of the queue and of pages.
        submitted: digest of the specification as submitted; the budget may be raised later.
        worker: id of the worker that holds the job, or ``None``.
        fence: grows with each claim; a write by an older claim is refused.
        lease_until: when a worker that is not heard of counts as dead.
        fruitless: claims in a row that have ended no trial.
        last_event: number of the newest event; counted here, so that a job's events have no gaps.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "state", "number"),
        Index(None, "workload", "number"),
        Index(None, "target", "number"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(Number, primary_key=True)
    id: Mapped[str] = mapped_column(Name, unique=True)
    idempotency_key: Mapped[str | None] = mapped_column(Name, unique=True)
    submitted: Mapped[str] = mapped_column(Name)
    workload: Mapped[str] = mapped_column(Line)
    target: Mapped[str] = mapped_column(Line)
    spec: Mapped[dict[str, Any]] = mapped_column(Document)
    state: Mapped[str] = mapped_column(Name)
    reason: Mapped[str | None] = mapped_column(Line)
    attempt: Mapped[int] = mapped_column(default=0)
    progress: Mapped[dict[str, Any]] = mapped_column(Document)
    reference: Mapped[dict[str, Any]] = mapped_column(Document)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=UtcNow())
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worker: Mapped[str | None] = mapped_column(Name)
    fence: Mapped[int] = mapped_column(BigInteger, default=0)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fruitless: Mapped[int] = mapped_column(default=0)
    last_event: Mapped[int] = mapped_column(BigInteger, default=0)


class ArtifactRow(Table):
    """A file that the artifact store holds."""

    __tablename__ = "artifacts"

    digest: Mapped[str] = mapped_column(Name, primary_key=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=UtcNow())


class TrialRow(Table):
    """A trial of a job."""

    __tablename__ = "trials"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(Name)
    reason: Mapped[str | None] = mapped_column(Line)
    origin: Mapped[str] = mapped_column(Name)
    fidelity: Mapped[float] = mapped_column(Double)
    seconds: Mapped[float] = mapped_column(Double)
    policy_digest: Mapped[str] = mapped_column(Name)
    policy: Mapped[dict[str, Any]] = mapped_column(Document)
    point: Mapped[dict[str, Any]] = mapped_column(Document)
    sampler_state: Mapped[dict[str, Any]] = mapped_column(Document)
    metrics: Mapped[dict[str, Any]] = mapped_column(Document)
    executed_as: Mapped[dict[str, Any]] = mapped_column(Document)
    violates: Mapped[dict[str, Any]] = mapped_column(Document)
    artifact_digest: Mapped[str | None] = mapped_column(ForeignKey("artifacts.digest"), index=True)
    extras: Mapped[dict[str, Any] | None] = mapped_column(Document)


class EventRow(Table):
    """Something that happened to a job; never changed."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(Name)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=UtcNow())
    data: Mapped[dict[str, Any]] = mapped_column(Document)


class InventoryRow(Table):
    """A document that a worker made once for all, such as the layers of a workload's model."""

    __tablename__ = "inventories"

    key: Mapped[str] = mapped_column(Name, primary_key=True)
    document: Mapped[dict[str, Any]] = mapped_column(Document)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=UtcNow())
