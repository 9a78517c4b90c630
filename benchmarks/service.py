"""How fast the service answers over much data, many jobs and many clients: ``python -m benchmarks.service``.

A job of 100,000 trials and a list of 10,000 jobs lie in the database; the calls of a dashboard are timed over
HTTP against a real server process, one after the other, and then by many clients at once with open streams.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import psutil
from sqlalchemy import insert, update

from benchmarks.postgres import Postgres
from benchmarks.table import Row, exit_code, print_rows, write_rows
from search.job import JobState, Progress
from search.spec import JobSpec
from spaces import LayerPolicy, Metric, Policy, Prune, WeightFormat, metrics_to_dict
from storage import Database, Results, Store, WorkerLock
from storage.tables import EventRow, JobRow, TrialRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

P99_MS: Final = 100.0
CROWD_P99_MS: Final = 250.0
FLAT_BYTES: Final = 50 << 20
LAYERS: Final = 20
POLICIES: Final = 256
START_S: Final = 120.0
POLL_S: Final = 4.0
OTHER_OBJECTIVES: Final = ("accuracy,latency_ms", "accuracy,size_bytes", "latency_ms,macs")
FIRST_MS: Final = 2000.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is there, and how often it is asked for."""

    trials: int
    jobs: int
    calls: int
    crowd: int
    crowd_s: float
    flat_calls: int


FULL: Final = Scale(trials=100_000, jobs=10_000, calls=200, crowd=200, crowd_s=60, flat_calls=10_000)
QUICK: Final = Scale(trials=100_000, jobs=10_000, calls=60, crowd=200, crowd_s=15, flat_calls=2_000)


def fill(database: Database, directory: Path, scale: Scale, seed: int) -> str:
    """Stores the jobs and the trials, as a search would have left them; returns the large job's id."""
    store = Store(database)
    spec = JobSpec("digits-cnn")
    job, _ = store.submit(spec)
    reference = {"metrics": metrics_to_dict(_metrics(0.99, 0.4, 1_800_000))}
    with WorkerLock(directory) as lock:
        claim = store.claim(lock)
        assert claim is not None
        claim.set_reference(reference)
        generator = random.Random(seed)  # noqa: S311 - data, not secrets
        policies = [_policy(generator) for _ in range(POLICIES)]
        for start in range(0, scale.trials, 5000):
            numbers = range(start, min(start + 5000, scale.trials))
            with database.writing() as session:
                session.execute(insert(TrialRow), [_trial(job.id, n, generator, policies) for n in numbers])
                session.execute(insert(EventRow), [_event(job.id, n) for n in numbers])
        with database.writing() as session:
            progress = Progress(scale.trials, scale.trials, 0.5, 3600.0, 3600.0).to_dict()
            values = {"last_event": scale.trials + 10, "front_rule": 0, "progress": progress}
            session.execute(update(JobRow).where(JobRow.id == job.id).values(**values))
        claim.release(JobState.SUCCEEDED)
    with database.writing() as session:
        session.execute(insert(JobRow), [_job(spec, n) for n in range(scale.jobs)])
    Results(database).standing(job.id)  # found once, as an older version's would be
    return job.id


def _metrics(accuracy: float, latency: float, size: int) -> dict[str, Metric]:
    return {
        "accuracy": Metric(accuracy, "fraction", low=accuracy - 0.01, high=accuracy, split="validation"),
        "accuracy_drop": Metric(0.99 - accuracy, "fraction", low=0.0, high=0.02, split="validation"),
        "latency_ms": Metric(latency, "ms", low=latency, high=latency, speedup=0.4 / latency),
        "size_bytes": Metric(size, "byte", ratio=1_800_000 / size),
        "macs": Metric(size * 10, "mac", ratio=1.0),
    }


def _policy(generator: random.Random) -> tuple[str, Any, list[str]]:
    layers = {
        f"stem.{index}": LayerPolicy(Prune(generator.choice((0.0, 0.25, 0.5))), WeightFormat(8))
        for index in range(LAYERS)
    }
    policy = Policy(layers=layers)
    return policy.digest, policy.to_dict(), list(layers)


def _trial(
    job_id: str, number: int, generator: random.Random, policies: list[tuple[str, Any, list[str]]]
) -> dict[str, Any]:
    # cheap trials are inaccurate, in steps as bit-widths are, so that the front has some hundred members
    effort = round(20 * generator.random()) / 20
    accuracy = round(540 * (0.99 * (1 - 0.5 * (1 - effort) ** 2) - 0.2 * generator.random())) / 540
    latency = 0.4 * (0.05 + 0.9 * effort) * (1 + 0.2 * generator.random())
    size = int(1_800_000 * (0.05 + 0.9 * effort) * (1 + 0.04 * generator.random()))
    digest, policy, layers = generator.choice(policies)
    return {
        "job_id": job_id,
        "number": number,
        "state": "completed",
        "reason": None,
        "origin": "tpe",
        "fidelity": 1.0,
        "seconds": 1.0,
        "policy_digest": digest,
        "policy": policy,
        "point": {"student": 0},
        "sampler_state": {},
        "metrics": metrics_to_dict(_metrics(accuracy, latency, size)),
        "executed_as": dict.fromkeys(layers, "int8"),
        "violates": {},
        "artifact_digest": None,
        "extras": None,
    }


def _event(job_id: str, number: int) -> dict[str, Any]:
    data = {"trial": number, "state": "completed", "reason": None}
    return {"job_id": job_id, "seq": number + 10, "kind": "trial.finished", "data": data}


def _job(spec: JobSpec, number: int) -> dict[str, Any]:
    return {
        "id": f"j{number:05d}{secrets.token_hex(5)}",
        "submitted": "sha256:0",
        "workload": spec.workload,
        "target": spec.target,
        "spec": spec.to_dict(),
        "state": str(JobState.CANCELLED),
        "progress": Progress(total=40).to_dict(),
        "reference": {},
        "front_rule": 1,
    }


@contextmanager
def serving(url: str, directory: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A server process without workers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tauten", "serve", "--port", str(port), "--workers", "0"]
    with (directory / "serve.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [*command, "--data", str(directory)],
            env={**os.environ, "TAUTEN_DATABASE": url, "TAUTEN_MIN_FREE_MB": "1"},
            stdout=log,
            stderr=log,
        )
    base = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_S
        while not _is_ready(base):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((directory / "serve.log").read_text())
            time.sleep(0.2)
        yield base, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _is_ready(base: str) -> bool:
    try:
        return httpx.get(f"{base}/readyz", timeout=5).is_success
    except httpx.TransportError:
        return False


def calls(base: str, job: str, scale: Scale, seed: int) -> dict[str, list[float]]:
    """Milliseconds of each call of a dashboard, one at a time, cold caches of the client's included."""
    generator = random.Random(seed)  # noqa: S311 - an order, not a secret
    cursors: dict[str, list[str | None]] = {"trials": [None], "jobs": [None]}
    paths = {"trials": f"/api/v1/jobs/{job}/trials", "jobs": "/api/v1/jobs"}
    times: dict[str, list[float]] = {
        name: []
        for name in (
            *("front", "front of other objectives", "the same, asked for the first time"),
            *("trials page", "hypervolume", "events", "jobs page"),
        )
    }
    with httpx.Client(base_url=base, timeout=60) as client:

        def timed(name: str, path: str, parameters: Mapping[str, Any]) -> Any:
            begun = time.perf_counter()
            response = client.get(path, params=parameters)
            times[name].append(1000 * (time.perf_counter() - begun))
            response.raise_for_status()
            return response.json()

        for objectives in OTHER_OBJECTIVES:
            name = "the same, asked for the first time"
            timed(name, f"/api/v1/jobs/{job}/front", {"objectives": objectives})
        for _ in range(scale.calls):
            others = {"objectives": generator.choice(OTHER_OBJECTIVES)}
            timed("front of other objectives", f"/api/v1/jobs/{job}/front", others)
            timed("front", f"/api/v1/jobs/{job}/front", {})
            timed("hypervolume", f"/api/v1/jobs/{job}/hypervolume", {})
            after = generator.randrange(scale.trials)
            timed("events", f"/api/v1/jobs/{job}/events", {"after": after, "limit": 100})
            for kind, name in (("trials", "trials page"), ("jobs", "jobs page")):
                cursor = generator.choice(cursors[kind])
                page = timed(name, paths[kind], {"cursor": cursor} if cursor else {})
                cursors[kind].append(page["next_cursor"])
    return times


async def crowd(base: str, job: str, scale: Scale) -> tuple[list[float], int]:
    """Many clients that poll a job and its trials every few seconds, half of them with a stream besides."""
    times: list[float] = []
    errors = 0
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=base, timeout=30, limits=limits) as client:
        queued = (await client.post("/api/v1/jobs", json={"workload": "digits-cnn"})).json()["id"]
        end = time.monotonic() + scale.crowd_s

        async def poll(number: int) -> None:
            nonlocal errors
            await asyncio.sleep(POLL_S * number / scale.crowd)  # as people come: not all in one moment
            while time.monotonic() < end:
                for path in (f"/api/v1/jobs/{queued}", f"/api/v1/jobs/{job}/trials?limit=10"):
                    begun = time.perf_counter()
                    try:
                        errors += not (await client.get(path)).is_success
                    except httpx.HTTPError:
                        errors += 1
                    times.append(1000 * (time.perf_counter() - begun))
                await asyncio.sleep(POLL_S)

        async def listen(number: int) -> None:
            nonlocal errors
            await asyncio.sleep(POLL_S * number / scale.crowd)
            try:
                async with client.stream("GET", f"/api/v1/jobs/{queued}/events") as response:
                    async for _ in response.aiter_lines():
                        if time.monotonic() > end:
                            return
            except httpx.HTTPError:
                errors += 1

        streams = [asyncio.create_task(listen(2 * number)) for number in range(scale.crowd // 2)]
        await asyncio.gather(*(poll(number) for number in range(scale.crowd)))
        await client.post(f"/api/v1/jobs/{queued}/cancel")
        await asyncio.gather(*streams)
    return times, errors


def flatness(base: str, job: str, process: psutil.Process, count: int) -> float:
    """Bytes by which the server's memory grows over many requests, after some to warm up."""
    paths = (f"/api/v1/jobs/{job}", f"/api/v1/jobs/{job}/front", "/api/v1/jobs", f"/api/v1/jobs/{job}/trials")
    with httpx.Client(base_url=base, timeout=60) as client:
        for index in range(200):
            client.get(paths[index % len(paths)]).raise_for_status()
        before = process.memory_info().rss
        for index in range(count):
            client.get(paths[0 if index % 10 else index // 10 % len(paths)]).raise_for_status()
    return float(process.memory_info().rss - before)


def measure(name: str, url: str, directory: Path, scale: Scale, seed: int) -> list[Row]:
    """All rows of one database."""
    database = Database(url)
    database.upgrade()
    job = fill(database, directory, scale, seed)
    database.close()
    gc.collect()
    rows = []
    with serving(url, directory) as (base, process):
        for call, times in calls(base, job, scale, seed).items():
            what = f"{name}: {call}, {scale.trials:,} trials, {scale.jobs:,} jobs"
            rows.append(_row(what, times, FIRST_MS if "first time" in call else P99_MS))
        grown = flatness(base, job, process, scale.flat_calls)
        rows.append(
            Row(
                f"{name}: memory of the API process over {scale.flat_calls:,} requests",
                "within 50 MB",
                f"{grown / 1e6:+.1f} MB",
                holds=abs(grown) <= FLAT_BYTES,
            )
        )
        times, errors = asyncio.run(crowd(base, job, scale))
        row = _row(
            f"{name}: {scale.crowd} clients for {scale.crowd_s:g} s, {len(times)} calls", times, CROWD_P99_MS
        )
        rows.append(row)
        what = f"{name}: errors of these"
        rows.append(Row(what, "0", str(errors), holds=errors == 0))
    return rows


def _row(what: str, times: list[float], bar_ms: float) -> Row:
    p99 = statistics.quantiles(times, n=100, method="inclusive")[98]
    middle = statistics.median(times)
    return Row(what, f"p99 <= {bar_ms:g} ms", f"p99 {p99:.1f} ms", f"median {middle:.1f} ms", p99 <= bar_ms)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer calls and a shorter crowd, the same data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tauten-service-") as name:
        directory = Path(name)
        if arguments.only != "postgresql":
            place = directory / "sqlite"
            place.mkdir()
            rows += measure("SQLite", f"sqlite:///{place}/tauten.db", place, scale, arguments.seed)
        if arguments.only != "sqlite":
            place = directory / "postgresql"
            place.mkdir()
            with Postgres() as server:
                rows += measure("PostgreSQL", server.url, place, scale, arguments.seed)
    print_rows("The service at scale", rows)
    if arguments.json:
        write_rows(arguments.json, rows)
    sys.exit(exit_code(rows))


if __name__ == "__main__":
    main()
