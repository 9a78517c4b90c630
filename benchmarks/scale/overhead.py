"""What a trial costs beyond its evaluation, and how much of 32 workers arrives."""

from __future__ import annotations

import statistics
import time
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from benchmarks.scale.jobs import room, spec_of
from benchmarks.scale.nodes import nodes
from benchmarks.scale.sleeper import Sleeper
from benchmarks.table import Row
from evaluators.targets import find_target
from search.engine import Engine
from search.resources import Resources
from spaces import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from search.runners.ray_cluster import RayCrew
    from search.spec import JobSpec

OVERHEAD_S: Final = 0.15
EFFICIENCY: Final = 0.90
TRIAL_S: Final = 2.0
SHORT_S: Final = 0.05


def overhead(directory: Path, trials: int) -> list[Row]:
    """Seconds between the ends of trials on one Ray worker, beyond those in one loop."""
    spec = spec_of(trials)
    alone = _gaps(_one_loop(spec, directory / "loop"))
    ends: list[float] = []
    with nodes(1) as cluster, room(directory / "ray") as place:
        _join(cluster)
        job = place.run(spec, _timed(1, SHORT_S, directory / "back", ends))
    there = _gaps(ends)
    more = [gap - statistics.median(alone) for gap in there]
    median = statistics.median(more)
    slow = statistics.quantiles(more, n=10)[8]
    return [
        Row(
            f"overhead of a trial on Ray against one loop, {job.progress.done} trials of {SHORT_S:g} s",
            f"median <= {OVERHEAD_S:g} s",
            f"{median:.3f} s",
            f"nine in ten <= {slow:.3f} s",
            median <= OVERHEAD_S,
        )
    ]


def efficiency(directory: Path, workers: tuple[int, ...], rounds: int) -> list[Row]:
    """Time of trials that wait for 2 s, on more and more logical workers that are ready, against ideal."""
    rows = []
    with nodes(max(workers)) as cluster:
        _join(cluster)
        for count in workers:
            ends: list[float] = []
            with room(directory / f"workers{count}") as place:
                job = place.run(
                    spec_of(count * rounds, workers=count),
                    _timed(count, TRIAL_S, directory / f"back{count}", ends),
                )
            taken_s, ideal_s = ends[-1] - ends[0], rounds * TRIAL_S
            share = ideal_s / taken_s
            is_last = count == workers[-1]
            rows.append(
                Row(
                    f"efficiency of {count} workers, {job.progress.done} trials of {TRIAL_S:g} s",
                    f">= {EFFICIENCY:.0%}" if is_last else "",
                    f"{share:.1%}",
                    f"{taken_s:.1f} s for {ideal_s:.1f} s",
                    share >= EFFICIENCY if is_last else None,
                )
            )
    return rows


def _join(cluster: Any) -> None:
    from search.runners.ray_cluster import connect

    connect(cluster.address)


def _timed(size: int, seconds: float, directory: Path, ends: list[float]) -> Callable[[Any], RayCrew]:
    """A crew that waits until all are ready, and notes when the first trial began and when each ended."""
    from search.runners.ray_cluster import RayCrew

    class Timed(RayCrew):
        def open(self, calibrated_ms: float | None) -> Any:
            opened = super().open(calibrated_ms)
            self.await_all()
            return opened

        def begin(self, *arguments: Any) -> None:
            if not ends:
                ends.append(time.monotonic())
            super().begin(*arguments)

        def take(self) -> Any:
            taken = super().take()
            ends.append(time.monotonic())
            return taken

    make = partial(Sleeper, seconds=seconds)
    return lambda idle: Timed(make, size, Resources(), directory, idle)


def _one_loop(spec: JobSpec, directory: Path) -> list[float]:
    """When trials end that are asked for, evaluated and told in a loop, with nothing stored."""
    sleeper = Sleeper(directory, lambda: None, SHORT_S)
    opened = sleeper.open(None)
    space = SearchSpace.build(spec.space, opened.inventories, find_target(spec.target).capabilities)
    engine = Engine(space, spec)
    ends = []
    for _ in range(spec.budget.trials):
        trial = engine.ask()
        engine.tell(trial.ended(sleeper.evaluate(trial, ())[0], {}))
        ends.append(time.monotonic())
    return ends


def _gaps(ends: list[float]) -> list[float]:
    return [after - before for before, after in pairwise(ends)]
