"""The tables, as typed rows; they never leave this package, which takes and returns the domain's values."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - SQLAlchemy reads the annotations
from typing import Any

from sqlalchemy import BigInteger, Boolean, Double, ForeignKey, Index, Integer, MetaData
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
        last_event: number of the newest event; counted here, so that a job's events have no gaps. Whatever
            changes what a user sees of a job tells an event, so it is the job's revision as well.
        owner: id of the API key that submitted the job, or ``None`` where none was needed.
        priority: a job of a higher one is taken first.
        keep: which trials' artifacts stay when the job has ended.
        last_error: why the last attempt ended without a trial.
        front_rule: how the stored front was found; another number than the code's has it found again.
        profile_key: of the profile that the job uses.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index(None, "state", "number"),
        Index(None, "state", "priority", "number"),
        Index(None, "owner", "state"),
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
    owner: Mapped[str | None] = mapped_column(Name)
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    keep: Mapped[str] = mapped_column(Name, default="all", server_default="all")
    last_error: Mapped[str | None] = mapped_column(Line)
    front_rule: Mapped[int] = mapped_column(default=0, server_default="0")
    profile_key: Mapped[str | None] = mapped_column(Name)


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


class FrontRow(Table):
    """A trial that is on its job's front, kept as trials end."""

    __tablename__ = "front_members"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


class StepRow(Table):
    """The front's hypervolume after a trial that counts.

    Attributes:
        elapsed_s: seconds of evaluation until then.
        has_risen: the trial raised the hypervolume.
    """

    __tablename__ = "front_steps"
    __table_args__ = (Index(None, "job_id", "has_risen", "number"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    elapsed_s: Mapped[float] = mapped_column(Double)
    hypervolume: Mapped[float] = mapped_column(Double)
    has_risen: Mapped[bool] = mapped_column(Boolean)


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


class ProfileRow(Table):
    """Sensitivities and costs of a workload's layers on a target, measured once and used by many jobs."""

    __tablename__ = "profiles"

    key: Mapped[str] = mapped_column(Name, primary_key=True)
    document: Mapped[dict[str, Any]] = mapped_column(Document)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=UtcNow())


class WorkerRow(Table):
    """A worker process.

    Attributes:
        offers: targets whose jobs it takes; empty for all.
        seen_at: when it was last heard of, in the database's clock.
        left_at: when it stopped in order.
    """

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(Name, primary_key=True)
    host: Mapped[str] = mapped_column(Name)
    pid: Mapped[int] = mapped_column(BigInteger)
    offers: Mapped[list[str]] = mapped_column(Document)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=UtcNow())
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=UtcNow())
    left_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class KeyRow(Table):
    """An API key; of its secret only a digest is known.

    Attributes:
        scope: read, write or admin; each includes those before it.
        max_queued: jobs that may wait at once, or ``None`` for any number.
        max_running: jobs that may run at once, or ``None`` for any number.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Name, primary_key=True)
    name: Mapped[str] = mapped_column(Line)
    digest: Mapped[str] = mapped_column(Name)
    scope: Mapped[str] = mapped_column(Name)
    max_queued: Mapped[int | None]
    max_running: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=UtcNow())
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SessionRow(Table):
    """A browser that has shown an API key; of its cookie only a digest is known."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(Name, primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
