"""What proposing with results outstanding costs: the hypervolume of as many trials, eight at a time."""

from __future__ import annotations

import statistics
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks.scale.jobs import room, spec_of
from benchmarks.scale.sleeper import Sleeper
from benchmarks.table import Row
from search.runners.crew import LocalCrew

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORKERS: Final = 8
SHARE: Final = 0.95


def parallel(directory: Path, seeds: range, trials: int, sampler: str = "guided") -> Row:
    """Hypervolume of jobs with eight workers as a share of the serial ones', by seed."""
    shares = []
    with room(directory) as place:
        for seed in seeds:
            found = [
                place.run(
                    spec_of(trials, workers=workers, sampler=sampler, seed=seed),
                    partial(_crew, directory, workers, seed),
                ).progress.hypervolume
                for workers in (1, WORKERS)
            ]
            shares.append(found[1] / found[0])
    mean = statistics.mean(shares)
    return Row(
        f"hypervolume of {trials} trials, {WORKERS} at a time against one, {sampler}, {len(seeds)} seeds",
        f">= {SHARE:g}x",
        f"{mean:.3f}x",
        f"{min(shares):.3f}x to {max(shares):.3f}x",
        mean >= SHARE,
    )


def _crew(directory: Path, size: int, seed: int, idle: Callable[[], None]) -> LocalCrew:
    return LocalCrew(lambda at, check: Sleeper(directory / f"bench{at}", check, seed=seed), size, idle)
