"""What a runner needs of storage: a job that it holds, and a place for artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from evaluators import ArtifactRef
    from search.job import Job, JobState, Progress
    from search.trial import Trial


class Ledger(Protocol):
    """A job that this runner holds; a method is a transaction, and raises `LeaseLost` if it is another's."""

    job: Job

    def heartbeat(self) -> JobState:
        """Keeps the job, and says what is wanted of it now."""
        ...

    def trials(self) -> Sequence[Trial]:
        """The trials that have ended, by number."""
        ...

    def waiting(self) -> Sequence[tuple[Trial, Mapping[str, Any]]]:
        """The trials of a job that scores another's which have not ended, each with what was found before."""
        ...

    def lost(self) -> Sequence[Trial]:
        """The trials that were begun and not ended, by number: they run again under it."""
        ...

    def start(self, trial: Trial) -> None:
        """A trial begins."""
        ...

    def lose(self, number: int, reason: str) -> None:
        """The evaluator of a running trial is gone; the trial runs again."""
        ...

    def finish(self, trial: Trial, progress: Progress) -> None:
        """A trial has ended."""
        ...

    def set_reference(self, reference: dict[str, Any]) -> None:
        """The uncompressed model's metrics and provenance."""
        ...

    def update_trials(self, trials: Sequence[Trial]) -> None:
        """Metrics that were measured again."""
        ...

    def set_extras(self, extras: Mapping[int, dict[str, Any]]) -> None:
        """What is known of some trials besides."""
        ...

    def stored_profile(self, key: str) -> dict[str, Any] | None:
        """A profile's document by its key, or ``None`` where there is none yet."""
        ...

    def store_profile(self, key: str, document: dict[str, Any]) -> None:
        """Keeps a profile for all jobs of its key."""
        ...

    def note(self, kind: str, data: dict[str, Any]) -> None:
        """Something that whoever watches should know."""
        ...

    def release(self, state: JobState, reason: str | None = None) -> None:
        """Gives the job back, in the state that it is to have."""
        ...


class Artifacts(Protocol):
    """A store of files by their content."""

    def put(self, path: Path) -> ArtifactRef:
        """Takes in a file."""
        ...

    def path(self, digest: str) -> Path:
        """Where a file lies."""
        ...
