"""A search job's life and progress, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from search.spec import JobSpec


class JobState(StrEnum):
    """queued → running ⇄ paused → succeeded | failed | cancelled (through cancelling)."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Nothing more will happen to the job."""
        return self in {JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED}


class Keep(StrEnum):
    """Whose artifacts stay when a job has ended."""

    ALL = "all"
    FRONT = "front"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come.

    Attributes:
        done: trials that count against the budget.
        total: the budget.
        hypervolume: of the front, a share of the box that the reference spans; see `search.pareto`.
        elapsed_s: seconds spent running, over all attempts.
        expected_s: seconds that the whole job is expected to take, or ``None`` before the first trial.
    """

    done: int = 0
    total: int = 0
    hypervolume: float = 0.0
    elapsed_s: float = 0.0
    expected_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "trials": {"done": self.done, "total": self.total},
            "hypervolume": self.hypervolume,
            "elapsed_s": self.elapsed_s,
            "expected_s": self.expected_s,
        }


@dataclass(frozen=True, slots=True)
class Job:
    """A search request and its life.

    Attributes:
        id: opaque, unguessable, never reused.
        spec: what was asked for.
        state: where its life is.
        reason: one line for a person: why it waits, failed, or ended before its budget.
        attempt: how often a worker has claimed it.
        progress: how far it has come.
        created_at: UTC, as are all times.
        started_at: first claim.
        ended_at: when it became final.
        reference: the uncompressed model in the target's runtime: ``{"metrics": …}``; empty until known. Of a
            finished search, ``optimism`` says how the chosen trial does on the test split, see
            `search.optimism.Optimism.to_dict`.
        priority: a job of a higher one is taken first.
        keep: whose artifacts stay when it has ended.
        last_error: why the last attempt that ended no trial did so.
        revision: grows with everything that a user sees of the job.
    """

    id: str
    spec: JobSpec
    state: JobState
    reason: str | None
    attempt: int
    progress: Progress
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reference: dict[str, Any] = field(default_factory=dict)
    priority: int = 0
    keep: Keep = Keep.ALL
    last_error: str | None = None
    revision: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The form that HTTP and the CLI have."""
        source = self.spec.source
        return {
            "id": self.id,
            "state": str(self.state),
            "reason": self.reason,
            "attempt": self.attempt,
            "progress": self.progress.to_dict(),
            "spec": self.spec.to_dict(),
            "created_at": _iso(self.created_at),
            "started_at": _iso(self.started_at),
            "ended_at": _iso(self.ended_at),
            "priority": self.priority,
            "keep": str(self.keep),
            "last_error": self.last_error,
            "revision": self.revision,
            "source": None if source is None else {"job": source.job, "target": source.target},
            "optimism": self.reference.get("optimism"),
        }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
