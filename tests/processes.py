"""The product's real processes, started and watched as a user would."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil

from service.client import Client


def wait_until(condition, timeout_s=120.0, what="the condition"):
    """What a condition returns once it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        if time.monotonic() > deadline:
            message = f"{what} did not come within {timeout_s:g} s"
            raise TimeoutError(message)
        time.sleep(0.2)
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def tauten(*arguments, cwd=None, timeout=300):
    """A finished ``tauten`` command."""
    command = [sys.executable, "-m", "tauten", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=timeout)


class Served:
    """A running ``tauten serve``; `start` again after a kill serves the same data."""

    def __init__(self, data, port=None, workers=1):
        self.data, self.port, self.workers = data, port or free_port(), workers
        self.client = Client(f"http://127.0.0.1:{self.port}")
        self.process = None

    def start(self):
        with (self.data.parent / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tauten", "serve", "--port", str(self.port),
                 "--data", str(self.data), "--workers", str(self.workers)],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_until(lambda: self.process.poll() is not None or self.client.is_ready(), 90, "the service")
        assert self.process.poll() is None, (self.data.parent / "serve.log").read_text()
        return self

    def children(self):
        """All processes that the server started, its workers' included."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def worker(self):
        return next(child for child in self.children() if "service.worker" in child.cmdline())

    def done(self, job):
        return self.client.job(job)["progress"]["trials"]["done"]

    def wait(self, job, *states, timeout_s=120.0):
        return wait_until(
            lambda: (found := self.client.job(job))["state"] in states and found, timeout_s, f"state {states}"
        )

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.client.close()


@contextmanager
def served(directory, **options):
    server = Served(directory / "data", **options)
    try:
        yield server.start()
    finally:
        server.stop()


def all_gone(processes, timeout_s=10.0):
    """None of the processes runs any more."""
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    return not [
        process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    ]


def environment(**more):
    return {**os.environ, **more}
