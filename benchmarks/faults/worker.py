"""A worker whose trials cost nothing, so that the queue is tried: ``python -m benchmarks.faults.worker``.

It takes jobs with the product's own queue, stores an artifact and a row for each trial as the product's
runner does, and treats a database that fails and a lost lease as the product's worker does.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from search.job import JobState, Progress
from search.trial import Trial, TrialState
from spaces import LayerPolicy, LeaseLost, Metric, Policy, Prune, StorageError
from storage import ArtifactStore, Claim, Database, Store, WorkerLock


def run(store: Store, lock: WorkerLock, artifacts: ArtifactStore, options: argparse.Namespace) -> None:
    """Takes jobs until none has come for some time."""
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < options.patience_s:
        try:
            claim = store.claim(lock, lease_s=options.lease_s)
            if claim is None:
                time.sleep(0.05)
                continue
            print(f"took {claim.job.id}", flush=True)
            work(claim, artifacts, options)
        except LeaseLost:
            print("lease lost", flush=True)
        except StorageError as error:
            print(f"storage {error}", flush=True)
            time.sleep(0.2)
        quiet_since = time.monotonic()


def work(claim: Claim, artifacts: ArtifactStore, options: argparse.Namespace) -> None:
    """Runs what a job lacks, and ends it."""
    done = {trial.number for trial in claim.trials()}
    total = claim.job.spec.budget.trials
    try:
        for number in range(total):
            if number in done:
                continue
            trial = asked(number)
            claim.start(trial)
            print(f"started {number}", flush=True)
            time.sleep(options.trial_s)
            made = Path(tempfile.gettempdir()) / f"made-{lock_name(claim)}-{number}"
            made.write_bytes(f"{claim.job.id} {number}".encode().ljust(options.size_bytes, b"."))
            ended = finished(trial, artifacts.put(made))
            made.unlink()
            done.add(number)
            claim.finish(ended, Progress(len(done), total))
        claim.release(JobState.SUCCEEDED)
        print(f"ended {claim.job.id}", flush=True)
    except LeaseLost:
        raise
    except StorageError as error:
        print(f"storage {error}", flush=True)
        put_back(claim, str(error))


def put_back(claim: Claim, why: str) -> None:
    """Gives the job back as soon as that can be stored."""
    while True:
        try:
            claim.release(JobState.QUEUED, why)
        except LeaseLost:
            return
        except StorageError:
            time.sleep(0.2)
        else:
            return


def lock_name(claim: Claim) -> str:
    """A name for files of this attempt."""
    return f"{claim.job.id}-{claim.job.attempt}"


def asked(number: int) -> Trial:
    """A trial of a policy of its own."""
    policy = Policy(layers={"stem.conv": LayerPolicy(Prune(number / 10_000))})
    return Trial(number, policy, {"student": 0}, "faults")


def finished(trial: Trial, artifact: Any) -> Trial:
    """The same trial with what its evaluation might have found."""
    from dataclasses import replace

    metrics = {
        "accuracy": Metric(0.9, "fraction"),
        "latency_ms": Metric(1.0 + trial.number, "ms"),
        "size_bytes": Metric(artifact.size_bytes, "byte"),
    }
    return replace(trial, state=TrialState.COMPLETED, metrics=metrics, artifact=artifact, seconds=0.01)


def speak(output: Connection, arguments: list[str]) -> None:
    """Runs a worker that says into a pipe what it does."""
    os.dup2(output.fileno(), sys.stdout.fileno())
    output.close()
    main(arguments)


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults.worker", description=__doc__)
    parser.add_argument("--database", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--host", help="name of a pretended machine, which sees no locks of others")
    parser.add_argument("--lease-s", type=float, default=60.0)
    parser.add_argument("--trial-s", type=float, default=0.0)
    parser.add_argument("--patience-s", type=float, default=3.0)
    parser.add_argument("--size-bytes", type=int, default=100)
    parser.add_argument("--clock-s", type=float, default=0.0, help="how far this worker's clock is off")
    options = parser.parse_args(arguments)
    if options.clock_s:
        real, shift = time.time, options.clock_s
        time.time = lambda: real() + shift
    database = Database(options.database)
    with WorkerLock(options.data, host=options.host) as lock:
        print("ready", flush=True)
        run(Store(database), lock, ArtifactStore(options.data / "artifacts"), options)
    database.close()


if __name__ == "__main__":
    main()
