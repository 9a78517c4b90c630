"""Other processes that keep every core busy, for as long as a benchmark wants them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from evaluators.meter import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPIN: Final = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
print("busy", flush=True)
while True:
    sum(range(100_000))
"""
"""Ends with its standard input, so with whoever started it."""


@contextmanager
def busy_cores() -> Iterator[int]:
    """One busy process pinned to each usable core, where the system pins; gives how many there are."""
    cores = usable_cores()
    spinning = [_started(core) for core in cores]
    try:
        for process in spinning:
            assert process.stdout is not None
            process.stdout.readline()  # it runs
        yield len(cores)
    finally:
        for process in spinning:
            process.kill()
            process.communicate()


def _started(core: int) -> subprocess.Popen[bytes]:
    pin = f"import os; os.sched_setaffinity(0, [{core}])\n" if hasattr(os, "sched_setaffinity") else ""
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", pin + _SPIN], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
