"""Child processes that are spoken to in JSON lines: they can be waited for with a limit, watched and killed.

A child reads requests on standard input and ends when it closes, so it never outlives its parent; whatever a
workload prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, TYPE_CHECKING, Any

import psutil

from spaces import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_S = 0.2
WEIGH_EVERY_S = 0.5
"""Finding a process's children reads all of /proc, which takes a core's attention from what is measured."""

PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Threads that spin while they wait make training ten times slower as soon as a core is shared."""


class Child:
    """A running ``python -m module``.

    Args:
        module: its main loop is `serve`.
        env: added to this process's environment.

    Raises:
        MeasurementError: from `receive`, when the child dies or a limit is passed.
    """

    def __init__(self, module: str, env: dict[str, str] | None = None) -> None:
        self.module = module
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**PATIENT, **os.environ, **(env or {})},
            start_new_session=True,  # Ctrl-C reaches the parent, which decides; a kill reaches grandchildren
        )
        self._buffer = b""
        self._weighed = 0.0

    @property
    def is_alive(self) -> bool:
        """The process runs."""
        return self._process.poll() is None

    def send(self, message: dict[str, Any]) -> None:
        """Writes one request."""
        stdin = self._process.stdin
        try:
            assert stdin is not None
            stdin.write(json.dumps(message).encode() + b"\n")
            stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise MeasurementError(f"{self.module} has ended{self._how()}") from error

    def receive(
        self,
        timeout_s: float,
        memory_bytes: int | None = None,
        idle: Callable[[], None] = lambda: None,
        since: float | None = None,
    ) -> dict[str, Any]:
        """The next answer.

        Args:
            timeout_s: longest wait; the child is killed when it is over.
            memory_bytes: resident memory at which the child is killed, grandchildren included.
            idle: called a few times a second while waiting; what it raises passes through.
            since: time of `time.monotonic` from which `timeout_s` counts; ``None`` is now.

        Raises:
            MeasurementError: the child died, or passed a limit.
        """
        deadline = (time.monotonic() if since is None else since) + timeout_s
        while b"\n" not in self._buffer:
            idle()
            self._enforce(deadline, timeout_s, memory_bytes)
            stdout = self._process.stdout
            assert stdout is not None
            ready, _, _ = select.select([stdout], [], [], POLL_S)
            if ready:
                chunk = os.read(stdout.fileno(), 1 << 16)
                if not chunk:
                    raise MeasurementError(f"{self.module} has ended{self._how()}")
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def memory_bytes(self) -> int:
        """Resident memory of the child and its children; 0 once it has ended."""
        try:
            process = psutil.Process(self._process.pid)
            return sum(item.memory_info().rss for item in [process, *process.children(recursive=True)])
        except psutil.Error:
            return 0

    def kill(self) -> None:
        """Ends the child and all its children, at once; harmless if it has ended."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def close(self, timeout_s: float = 5.0) -> None:
        """Lets the child end by itself, and kills it if it does not in time."""
        with suppress(BrokenPipeError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        self.kill()

    def _enforce(self, deadline: float, timeout_s: float, memory_bytes: int | None) -> None:
        """Ends a child that has passed a limit, whether it is silent or keeps talking."""
        if time.monotonic() > deadline:
            self.kill()
            raise MeasurementError(f"took longer than its limit of {timeout_s:g} s and was ended")
        if memory_bytes is None or time.monotonic() - self._weighed < WEIGH_EVERY_S:
            return
        self._weighed = time.monotonic()
        if self.memory_bytes() > memory_bytes:
            self.kill()
            raise MeasurementError(
                f"used more than its limit of {memory_bytes / 2**30:.1f} GiB and was ended"
            )

    def _how(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1)
            return f" by signal {signal.Signals(-code).name}" if code < 0 else f" with exit code {code}"
        return ""


class Line:
    """A child's way to whoever started it: called, it answers; it can ask in turn while it works.

    Args:
        answers: where messages go, a line each.
        requests: the lines that come.
    """

    def __init__(self, answers: IO[str], requests: SimpleQueue[str]) -> None:
        self._answers, self._requests = answers, requests

    def __call__(self, message: dict[str, Any]) -> None:
        """Sends a message."""
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sends a message, and waits for what comes next, which answers it."""
        self(message)
        reply: dict[str, Any] = json.loads(self._requests.get())
        return reply


def serve(handle: Callable[[dict[str, Any], Line], None]) -> None:
    """The main loop of a child: one request a line; it never returns, standard input ends the process.

    Args:
        handle: called with each request and the line that answers go to.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what others print must not mix with the answers
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    requests: SimpleQueue[str] = SimpleQueue()
    line = Line(answers, requests)
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    while True:
        handle(json.loads(requests.get()), line)


def _read(stream: IO[str], requests: SimpleQueue[str]) -> None:
    """Passes lines on; the end of the stream ends the process, whatever it is doing: its parent is gone."""
    while line := stream.readline():
        requests.put(line)
    os._exit(0)
