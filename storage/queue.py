"""Who works on which job: a worker's proof of life, and taking the next job from the table. Stores no result.

A worker lives while its process holds an operating-system lock, which is freed the moment the process dies,
however it dies. Whoever can see the lock (same machine, same boot, same data directory) knows at once, and
everyone else waits for the lease. A worker that is silent beyond its lease counts as dead in any case; the
fence refuses whatever it still writes.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import socket
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import psutil
from sqlalchemy import ColumnElement, Select, or_, select, true, update

from search.job import JobState
from spaces import StorageError, digest_bytes
from storage.columns import UtcNow
from storage.events import change_state
from storage.quotas import at_their_limit, may_run
from storage.tables import JobRow
from storage.trials import lose_running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from sqlalchemy.orm import Session

T = TypeVar("T", bound=Any)

HELD: Final = tuple(str(state) for state in (JobState.RUNNING, JobState.PAUSED, JobState.CANCELLING))
"""States in which a worker may hold a job."""

ATTEMPTS_CAP: Final = 5
"""Claims in a row that end no trial before a job fails as poison."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_STALE_S: Final = 86_400


class WorkerLock:
    """A worker's name and proof of life; the lock is held inside the ``with`` block.

    Args:
        data_dir: the lock lies in its ``locks`` directory, which all workers of a machine must share.
        host: name of the machine; the host name when not given.

    Attributes:
        id: unique; begins with the host and the boot, so that others know whether they can see the lock.
    """

    def __init__(self, data_dir: Path, *, host: str | None = None) -> None:
        name = re.sub(r"[^a-z0-9.]+", ".", (host or socket.gethostname()).lower())[:100]
        self._machine = f"{name}-{_boot()}"
        self._directory = data_dir / "locks"
        self._descriptor: int | None = None
        self.id = f"{self._machine}-{secrets.token_hex(6)}"

    def __enter__(self) -> Self:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            self._remove_stale()
            self._descriptor = os.open(self._path(self.id), os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(f"cannot lock {self._path(self.id)}: {error}") from error
        # A forked child shares the lock and would keep it alive beyond the worker.
        reference = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _close(reference()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The file stays: a job that was not released is then seen to be without its worker.
        self.close()

    @property
    def is_held(self) -> bool:
        """The lock is held by this process."""
        return self._descriptor is not None

    def close(self) -> None:
        """Frees the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def sees_dead(self, worker: str) -> bool:
        """Another worker is known to be dead; ``False`` where it lives or cannot be seen from here."""
        if worker.rpartition("-")[0] != self._machine:
            return False
        return _is_free(self._path(worker))

    def _path(self, worker: str) -> Path:
        return self._directory / f"{worker}.lock"

    def _remove_stale(self) -> None:
        for path in self._directory.glob("*.lock"):
            with suppress(FileNotFoundError):  # another worker is tidying up as well
                is_old = path.stat().st_mtime < time.time() - _STALE_S
                if is_old and _is_free(path):
                    path.unlink()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which waiting jobs a worker takes.

    Attributes:
        offers: their targets; all where none are given.
        runner: theirs; any if ``None``.
        only: their ids; any if ``None``.
    """

    offers: tuple[str, ...] = ()
    runner: str | None = None
    only: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Abandoned:
    """A job whose worker counts as dead."""

    job_id: str
    worker: str
    fence: int
    is_certain: bool


def take(
    session: Session, worker: WorkerLock, lease_s: float, attempts_cap: int, wanted: Wanted
) -> JobRow | None:
    """Takes the oldest job of the highest priority, after putting back those whose worker is dead.

    A job whose owner runs as many as their key allows is passed over.

    Args:
        session: a writing transaction.
        worker: who takes it.
        lease_s: how long the worker may be silent.
        attempts_cap: claims in a row that end no trial before a job fails as poison.
        wanted: which jobs are taken.

    Returns:
        The job, now running under a new fence, or ``None`` where nothing waits.
    """
    for abandoned in _abandoned(session, worker):
        _put_back(session, abandoned, attempts_cap)
    session.flush()
    # SQLAlchemy drops FOR UPDATE SKIP LOCKED silently on SQLite, where the write lock makes this safe.
    oldest = _waiting(wanted).order_by(JobRow.priority.desc(), JobRow.number).limit(1)
    job = session.scalars(
        update(JobRow)
        .where(JobRow.number == oldest.correlate(None).with_for_update(skip_locked=True).scalar_subquery())
        .values(
            worker=worker.id,
            fence=JobRow.fence + 1,
            attempt=JobRow.attempt + 1,
            fruitless=JobRow.fruitless + 1,
            lease_until=UtcNow(lease_s),
        )
        .returning(JobRow)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).one_or_none()
    if job is None:
        return None
    if not may_run(session, job.owner):  # another worker took one of the owner's at the same time
        job.worker = job.lease_until = None
        job.attempt, job.fruitless = job.attempt - 1, job.fruitless - 1
        return None
    if job.started_at is None:
        job.started_at = session.scalar(select(UtcNow()))
    change_state(session, job, JobState.RUNNING)
    return job


def has_work(session: Session, worker: WorkerLock, wanted: Wanted) -> bool:
    """Something waits, or has lost its worker; asked first, so that idle workers take no write lock."""
    queued = session.scalar(_waiting(wanted).limit(1))
    return queued is not None or any(True for _ in _abandoned(session, worker))


def end_attempt(session: Session, job: JobRow, why: str, attempts_cap: int) -> None:
    """Puts a job that nobody holds any more back into the queue, or fails it as poison.

    Args:
        session: a writing transaction.
        job: locked by this transaction, its worker gone.
        why: the attempt ended; the job keeps it as its last error.
        attempts_cap: claims in a row that end no trial before a job fails as poison.
    """
    job.last_error = why
    if job.state == JobState.CANCELLING:
        change_state(session, job, JobState.CANCELLED, why)
    elif job.state == JobState.RUNNING and job.fruitless >= attempts_cap:
        change_state(
            session, job, JobState.FAILED, f"poison: {job.fruitless} attempts ended no trial; last: {why}"
        )
    elif job.state == JobState.RUNNING:
        change_state(session, job, JobState.QUEUED, why)


def waiting_rows(wanted: Wanted, limit: int) -> Select[JobRow]:
    """Jobs that wait for a worker of a kind, the next first, those of owners at their limit included."""
    rows = _matching(select(JobRow), wanted)
    return rows.order_by(JobRow.priority.desc(), JobRow.number).limit(limit)


def _waiting(wanted: Wanted) -> Select[int]:
    """Numbers of the jobs that may be taken, in no order."""
    query = _matching(select(JobRow.number), wanted)
    return query.where(or_(JobRow.owner.is_(None), JobRow.owner.not_in(at_their_limit())))


def _matching(query: Select[T], wanted: Wanted) -> Select[T]:
    query = query.where(JobRow.state == str(JobState.QUEUED))
    if wanted.offers:
        query = query.where(JobRow.target.in_(wanted.offers))
    if wanted.runner is not None:
        query = query.where(JobRow.spec["runner"].as_string() == wanted.runner)
    return query if wanted.only is None else query.where(JobRow.id.in_(wanted.only))


def _abandoned(session: Session, worker: WorkerLock) -> Iterator[Abandoned]:
    held = select(
        JobRow.id, JobRow.worker, JobRow.fence, (JobRow.lease_until <= UtcNow()).label("is_expired")
    )
    query = held.where(JobRow.state.in_(HELD), JobRow.worker.is_not(None)).order_by(JobRow.number)
    for job_id, holder, fence, is_expired in session.execute(query).all():
        is_certain = holder is not None and worker.sees_dead(holder)
        if holder is not None and (is_certain or is_expired):
            yield Abandoned(job_id, holder, fence, is_certain)


def _put_back(session: Session, abandoned: Abandoned, attempts_cap: int) -> None:
    # A heartbeat may have come since the row was read; a lock that is free stays free.
    still_dead: ColumnElement[bool] = true() if abandoned.is_certain else JobRow.lease_until <= UtcNow()
    job = session.scalars(
        update(JobRow)
        .where(
            JobRow.id == abandoned.job_id, JobRow.fence == abandoned.fence, JobRow.worker == abandoned.worker
        )
        .where(JobRow.state.in_(HELD), still_dead)
        .values(worker=None, lease_until=None)
        .returning(JobRow)
        .execution_options(synchronize_session=False, populate_existing=True)
    ).one_or_none()
    if job is None:
        return
    why = f"worker {abandoned.worker} {'died' if abandoned.is_certain else 'was silent beyond its lease'}"
    lost = lose_running(session, job, why)
    why += f" while trial {', '.join(map(str, lost))} was running" if lost else ""
    end_attempt(session, job, why, attempts_cap)


def _is_free(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False  # the lock lies in another directory or belongs to another user: unknown is not dead
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _boot() -> str:
    try:
        boot = _BOOT_ID.read_text().strip()
    except OSError:
        boot = str(int(psutil.boot_time()))
    return digest_bytes(boot.encode()).removeprefix("sha256:")[:10]


def _close(lock: WorkerLock | None) -> None:
    if lock is not None:
        lock.close()
