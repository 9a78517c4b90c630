"""Starts worker processes and keeps them running; they end with this process, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Final, Self

import structlog

from service.settings import MIB, Settings

LOOK_S: Final = 0.5
GRACE_S: Final = 8.0
_log = structlog.get_logger()


class Supervisor:
    """Runs `settings.workers` workers inside its ``with`` block; one that dies is replaced within a second.

    Each worker holds the other end of a pipe to this process: when this process is gone, so is the pipe, and
    the worker stops by itself.

    Args:
        settings: of this process.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes: list[subprocess.Popen[bytes]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._processes = [self._start() for _ in range(self._settings.workers)]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        for process in self._processes:
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
            process.kill()
            process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603
            [
                *(sys.executable, "-m", "service.worker", "--supervised"),
                *("--data", str(self._settings.data_dir)),
            ],
            env=self._environment(),
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C goes to the server, which stops its workers in order
        )

    def _environment(self) -> dict[str, str]:
        settings = self._settings
        return {
            **os.environ,
            "TAUTEN_DATABASE": settings.database_url,  # not an argument: everybody sees those
            "TAUTEN_MIN_FREE_MB": str(settings.min_free_bytes // MIB),
            "TAUTEN_LOG_FORMAT": settings.log_format,
            "TAUTEN_OFFERS": ",".join(settings.offers),
            "TAUTEN_ARTIFACTS": settings.artifacts_url or "",
            "TAUTEN_RUNNER": settings.runner,
            "TAUTEN_RAY_ADDRESS": settings.ray_address or "",
        }

    def _watch(self) -> None:
        while not self._ending.wait(LOOK_S):
            for index, process in enumerate(self._processes):
                code = process.poll()
                if code is not None:
                    _log.warning("worker ended, starting another", pid=process.pid, code=code)
                    if process.stdin is not None:
                        process.stdin.close()
                    self._processes[index] = self._start()
