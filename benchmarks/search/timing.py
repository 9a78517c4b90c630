"""What a proposal costs: ask and tell with many trials stored, on one core."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
import optuna
from optuna.distributions import IntDistribution
from optuna.study import StudyDirection
from optuna.trial import create_trial

from benchmarks.search.synthetic import Network
from benchmarks.table import Row
from search.samplers.guided import GuidedSampler

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES: Final = ((10, 200, 50.0), (75, 1_000, 150.0), (75, 10_000, 400.0))
"""Layers (two axes each), trials stored, and the bar in milliseconds."""

ROUNDS: Final = 15


def timing_rows(*, quick: bool) -> Iterator[Row]:
    """The median of ask and tell for each case; the first call, which reads the whole study, is left out."""
    for layers, stored, most in CASES[:2] if quick else CASES:
        times = _times(layers, stored)
        median = float(np.median(times))
        yield Row(
            f"ask and tell, {2 * layers} axes, {stored} trials stored",
            f"at most {most:g} ms",
            f"{median:.0f} ms",
            f"slowest of {len(times)}: {max(times):.0f} ms",
            median <= most,
        )


def _times(layers: int, stored: int) -> list[float]:
    network, draw = Network(0, layers), np.random.default_rng(0)
    distributions = {name: IntDistribution(0, size - 1) for name, size in network.axes.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            directions=[StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE, StudyDirection.MINIMIZE],
            sampler=GuidedSampler(network.problem("good")),
        )
    for _ in range(stored):
        point = tuple(int(draw.integers(size)) for size in network.axes.values())
        study.add_trial(
            create_trial(
                params=dict(zip(network.axes, point, strict=True)),
                distributions=distributions,  # type: ignore[arg-type]
                values=network.evaluate(point),
            )
        )
    times = []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        trial = study.ask(distributions)  # type: ignore[arg-type]
        point = tuple(trial.params[name] for name in network.axes)
        values = network.evaluate(point)
        study.tell(trial, values)
        times.append((time.process_time() - started) * 1e3)
    return times[1:]
