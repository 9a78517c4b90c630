"""Runs claims, several at once: each in a process of its own with one thread, so that none slows another."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.claims.claim import Setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.table import Row

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def run_claims(names: Sequence[str], *, quick: bool, seed: int, jobs: int) -> Iterator[list[Row]]:
    """Each claim's rows, in the order of the names; what is being done goes to standard error.

    Args:
        names: of registered claims.
        quick: see `Setting`.
        seed: see `Setting`.
        jobs: claims that run at once; 1 runs them in this process.
    """
    run = partial(run_claim, quick=quick, seed=seed)
    if min(jobs, len(names)) == 1:
        _one_thread()
        yield from map(run, names)
        return
    os.environ.update(ONE_THREAD)  # read by the children when they start
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool:
        yield from pool.map(run, names)


def run_claim(name: str, *, quick: bool, seed: int) -> list[Row]:
    """Tries one claim in a directory of its own."""
    from benchmarks.claims.registry import CLAIMS

    claim, started = CLAIMS[name], time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{name}: {text}\n")

    say(f"{claim.text} ({claim.source}) …")
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for row in claim.run(Setting(quick, seed, Path(scratch), say)):
            rows.append(row)
            say(f"{row.what}: {row.measured} {row.verdict}")
    say(f"done in {time.monotonic() - started:.0f} s")
    return rows


def _one_thread() -> None:
    """More threads than cores make small networks many times slower, and results depend on their number."""
    import torch

    torch.set_num_threads(1)
