"""Jobs in a database of their own, run by the product's controller with an evaluator of one's choice."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search.runners.local import LocalRunner, Surroundings
from search.spec import Budget, JobSpec
from spaces import SpaceRequest
from storage import ArtifactStore, Database, Store, WorkerLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from search.job import Job
    from search.runners.crew import Crew
    from search.trial import Trial


def spec_of(trials: int, **more: Any) -> JobSpec:
    """A job over the synthetic network: random proposals and no profile, unless more is said."""
    fields: dict[str, Any] = {
        "sampler": "random",
        "profile": "none",
        "space": SpaceRequest(students=(None,), recovery=(None,)),
        "budget": Budget(trials),
    }
    return JobSpec(**({"workload": "sleeper"} | fields | more))


@dataclass(frozen=True)
class Room:
    """A database, its artifacts and scratch space.

    Attributes:
        directory: of all.
        store: over the database.
        lock: a worker's.
    """

    directory: Path
    store: Store
    lock: WorkerLock

    def run(
        self,
        spec: JobSpec,
        make_crew: Callable[[Callable[[], None]], Crew],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Job:
        """Submits a job and works on it to its end, or until it is told to stop."""
        job, _ = self.store.submit(spec)
        return self.go_on(job.id, make_crew, should_stop)

    def go_on(
        self,
        job_id: str,
        make_crew: Callable[[Callable[[], None]], Crew],
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Job:
        """Works on a job that waits."""
        claim = self.store.claim(self.lock)
        assert claim is not None
        assert claim.job.id == job_id
        around = Surroundings(
            self.directory / "scratch" / f"{job_id}-{claim.job.attempt}",
            ArtifactStore(self.directory / "artifacts"),
            should_stop=should_stop,
        )
        LocalRunner(claim, around, make_crew).run()
        return self.store.job(job_id)

    def trials(self, job: Job) -> list[Trial]:
        """All trials of a job, by number."""
        return self.store.all_trials(job.id)


@contextmanager
def room(directory: Path) -> Iterator[Room]:
    """A SQLite database in a directory, for as long as the block lasts."""
    directory.mkdir(parents=True, exist_ok=True)
    database = Database(f"sqlite:///{directory / 'tauten.db'}")
    database.upgrade()
    try:
        with WorkerLock(directory) as lock:
            yield Room(directory, Store(database), lock)
    finally:
        database.close()
