"""Where faults are tried: a database with jobs, worker processes, and the count of what became of them."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, Final, Self

from benchmarks.faults.worker import speak
from search.spec import Budget, JobSpec
from search.trial import TrialState
from storage import Database, Store

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from pathlib import Path

    from search.job import Job

END_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Count:
    """What became of the trials of some jobs.

    Attributes:
        expected: trials that the jobs' budgets ask for.
        stored: of these, that are there, completed.
        doubled: trials that were told to have ended more than once.
        ended: jobs that succeeded.
        jobs: all jobs.
    """

    expected: int
    stored: int
    doubled: int
    ended: int
    jobs: int

    @property
    def lost(self) -> int:
        """Trials that are missing."""
        return self.expected - self.stored

    @property
    def is_whole(self) -> bool:
        """Nothing is lost or doubled, and every job has ended."""
        return self.lost == 0 and self.doubled == 0 and self.ended == self.jobs

    def __str__(self) -> str:
        return f"{self.expected} expected, {self.stored} stored, {self.lost} lost, {self.doubled} doubled"


class Worker:
    """A worker process; what it says is kept by line.

    It is forked from a process that has imported what it needs, so that a hundred of them start in seconds.
    """

    def __init__(self, url: str, data: Path, **options: Any) -> None:
        arguments = ["--database", url, "--data", str(data)]
        for name, value in options.items():
            arguments += [f"--{name.replace('_', '-')}", str(value)]
        context = get_context("forkserver")
        context.set_forkserver_preload(["benchmarks.faults.worker"])
        output, its_end = context.Pipe(duplex=False)
        self.process = context.Process(target=speak, args=(its_end, arguments), daemon=True)
        self.process.start()
        its_end.close()
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(output,), daemon=True)
        self._reader.start()

    def _read(self, output: Connection) -> None:
        with os.fdopen(os.dup(output.fileno())) as lines:
            output.close()
            for line in lines:
                self.said.append(line.rstrip("\n"))

    def has_said(self, beginning: str) -> bool:
        """A line that begins so was said."""
        return any(line.startswith(beginning) for line in list(self.said))

    def count_said(self, beginning: str) -> int:
        """How many lines that begin so were said."""
        return sum(line.startswith(beginning) for line in list(self.said))

    def kill(self) -> None:
        """Ends it as a crash of the machine would, and waits."""
        self.process.kill()
        self.process.join()
        self._reader.join(5)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)


@dataclass
class Ground:
    """A database and a data directory, with worker processes that end with the ``with`` block.

    Attributes:
        kind: of database, for rows.
        url: of the database.
        data: directory of locks and artifacts.
        restart: stops the database at once and starts it again; given for PostgreSQL.
    """

    kind: str
    url: str
    data: Path
    restart: Callable[[], None] | None = None
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self.database = Database(self.url)
        self.database.upgrade()
        self.store = Store(self.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
        self.database.close()

    def submit(self, jobs: int, trials: int) -> list[str]:
        """Submits jobs; returns their ids."""
        spec = JobSpec("digits-cnn", budget=Budget(trials=trials))
        return [self.store.submit(spec)[0].id for _ in range(jobs)]

    def start(self, **options: Any) -> Worker:
        """Starts a worker and waits until it takes jobs."""
        worker = Worker(self.url, self.data, **options)
        self.workers.append(worker)
        wait_until(lambda: worker.has_said("ready") or not worker.process.is_alive(), "a worker")
        return worker

    def wait(self, ids: list[str], timeout_s: float = END_S) -> None:
        """Waits until jobs have ended."""
        wait_until(lambda: self.are_final(ids), "the jobs' end", timeout_s)

    def are_final(self, ids: list[str]) -> bool:
        """All of some jobs have ended, asked of the newest first: they are likely to be the last."""
        return all(self.job(job_id).state.is_final for job_id in reversed(ids))

    def job(self, job_id: str) -> Job:
        """A job, however long the database takes to answer."""
        return self.store.job(job_id)

    def count(self, ids: list[str]) -> Count:
        """What became of jobs."""
        expected = stored = doubled = ended = 0
        for job_id in ids:
            job = self.store.job(job_id)
            expected += job.spec.budget.trials
            ended += job.state == "succeeded"
            trials = self.store.all_trials(job_id)
            stored += sum(trial.state is TrialState.COMPLETED for trial in trials)
            told: Counter[int] = Counter()
            after = 0
            while events := self.store.events(job_id, after=after):
                after = events[-1].seq
                told.update(event.data["trial"] for event in events if event.kind == "trial.finished")
            doubled += sum(count - 1 for count in told.values())
        return Count(expected, stored, doubled, ended, len(ids))


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = END_S) -> None:
    """Waits for a condition.

    Raises:
        TimeoutError: it did not come.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {timeout_s:g} s")
        time.sleep(0.05)
