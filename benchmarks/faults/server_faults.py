"""Faults of the server and its clients: killed with streams open, and one request many times at once."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx

from benchmarks.faults.ground import wait_until
from benchmarks.faults.worker import asked, finished
from benchmarks.table import Row
from search.job import JobState, Progress
from service.client import Client
from spaces import RemoteError
from storage import ArtifactStore, WorkerLock

if TYPE_CHECKING:
    from benchmarks.faults.ground import Ground

START_S = 60.0


class Server:
    """A server process without workers that can be killed and started again at the same address."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        command = [sys.executable, "-m", "tauten", "serve", "--workers", "0", "--port", str(self._port)]
        environment = {**os.environ, "TAUTEN_DATABASE": self._ground.url, "TAUTEN_MIN_FREE_MB": "1"}
        self._process = subprocess.Popen(  # noqa: S603
            [*command, "--data", str(self._ground.data)], env=environment, stderr=subprocess.DEVNULL
        )
        with Client(self.url) as client:
            wait_until(lambda: client.is_ready() or self._process.poll() is not None, "the service", START_S)
        if self._process.poll() is not None:
            raise RuntimeError(f"the service ended with exit code {self._process.returncode} at its start")

    def kill(self) -> None:
        """As a crash would end it."""
        self._process.kill()
        self._process.wait()


class Listener:
    """A client of a job's events that takes them up again behind the last one it saw, as browsers do."""

    def __init__(self, url: str, job_id: str) -> None:
        self.seen: list[int] = []
        self._url = f"{url}/api/v1/jobs/{job_id}/events"
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._has_ended(client):
                time.sleep(0.1)

    def _has_ended(self, client: httpx.Client) -> bool:
        """Listens until the connection breaks or the job is over, which it tells."""
        headers = {"Last-Event-ID": str(self.seen[-1])} if self.seen else {}
        with suppress(httpx.HTTPError), client.stream("GET", self._url, headers=headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    self.seen.append(int(line[4:]))
                if line == "event: end":
                    return True
        return False


def killed_server(ground: Ground, kills: int, seed: int) -> Row:
    """The server is killed at random moments while a job goes on and clients listen."""
    generator = random.Random(seed)  # noqa: S311 - moments, not secrets
    server = Server(ground)
    server.start()
    (job_id,) = ground.submit(jobs=1, trials=10_000)
    listeners = [Listener(server.url, job_id) for _ in range(3)]
    is_over = threading.Event()

    def work() -> None:
        artifacts = ArtifactStore(ground.data / "artifacts")
        made = ground.data / "made"
        made.write_bytes(b"the same for all")
        stored = artifacts.put(made)
        with WorkerLock(ground.data) as lock:
            claim = ground.store.claim(lock)
            assert claim is not None
            number = 0
            while not is_over.wait(0.02):
                claim.start(asked(number))
                claim.finish(finished(asked(number), stored), Progress(number + 1, 10_000))
                number += 1
            claim.release(JobState.SUCCEEDED)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            for _ in range(kills):
                time.sleep(generator.uniform(0.1, 0.6))
                server.kill()
                server.start()
        finally:
            is_over.set()
        working.result()
    for listener in listeners:
        listener.thread.join(60)
    server.kill()
    stored_events, after = [], 0
    while events := ground.store.events(job_id, after=after):
        after = events[-1].seq
        stored_events += [event.seq for event in events]
    missed = sum(len(set(stored_events) - set(listener.seen)) for listener in listeners)
    doubled = sum(len(listener.seen) - len(set(listener.seen)) for listener in listeners)
    what = f"{ground.kind}: kill -9 of the server, {kills} times, {len(listeners)} streams open"
    measured = f"{len(stored_events)} events, {missed} missed, {doubled} doubled"
    return Row(what, "0 events missed or doubled", measured, holds=missed == doubled == 0)


def one_key(ground: Ground, times: int) -> Row:
    """The same submission is sent many times at once with one idempotency key."""
    server = Server(ground)
    server.start()
    spec = {"workload": "digits-cnn"}

    def submit(_: int) -> str:
        with Client(server.url) as client:
            try:
                return str(client.submit(spec, idempotency_key="faults-one-key")["id"])
            except RemoteError as error:
                return json.dumps([error.status, str(error)])

    with ThreadPoolExecutor(times) as pool:
        answers = list(pool.map(submit, range(times)))
    server.kill()
    jobs = [job.id for job in ground.store.jobs(limit=1000).items if job.id in answers]
    for job_id in jobs:
        ground.store.cancel(job_id)  # nobody is to run it while the next fault is tried
    what = f"{ground.kind}: one submission, {times} times at once with one key"
    measured = f"{len(set(answers))} different answers, {len(jobs)} jobs"
    return Row(what, "one job", measured, holds=len(set(answers)) == len(jobs) == 1)
