"""Who is evaluated again before a job ends, so that the choice does not rest on one lucky training."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from search.samplers.proposal import seed_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from search.pareto import Front
    from search.spec import JobSpec
    from search.trial import Trial
    from spaces import Metrics

SEEDS: Final = 2
"""Fresh trainings of a finalist."""

MOST: Final = 4
SHARE: Final = 5
"""Finalists are at most as many, and at most one of so many trials of the budget, but at least one."""

REPEATED: Final = ("accuracy", "accuracy_drop")
"""Metrics that a fresh training changes."""


def most_finalists(spec: JobSpec) -> int:
    """How many are trained again at most; none where no accuracy is asked for: luck decides nothing there."""
    if not set(REPEATED) & set(spec.constraints):
        return 0
    return max(1, min(MOST, spec.budget.trials // SHARE))


def next_finalist(front: Front) -> int | None:
    """The trial to evaluate again: the chosen one, if it has not been and a fresh training can differ.

    It is chosen by what is known honestly: where its fresh trainings break a constraint, the choice moves on
    to the next, until one holds.
    """
    chosen = next((trial for trial in front.trials if trial.number == front.chosen), None)
    if chosen is None or not is_trained(chosen) or is_repeated(chosen):
        return None
    return chosen.number


def is_trained(trial: Trial) -> bool:
    """Another seed gives another model."""
    recovery = trial.evaluated.recovery
    return recovery is not None and recovery.changes_weights


def is_repeated(trial: Trial) -> bool:
    """It has been evaluated again."""
    return any(metric.again is not None for metric in trial.metrics.values())


def fresh_seeds(seed: int, number: int) -> list[int]:
    """Seeds of a finalist's trainings, none of them the job's own."""
    drawn = [seed_for(seed, number * SEEDS + repeat) // 2 for repeat in range(SEEDS)]
    return [fresh + (fresh == seed) for fresh in drawn]


def repeated(trial: Trial, results: Sequence[Metrics]) -> Trial:
    """The trial with the mean of its fresh trainings beside each metric; its own values stay.

    Args:
        trial: a finalist.
        results: of its fresh trainings, at least one.
    """
    means: Mapping[str, float] = {
        name: sum(found[name].value for found in results) / len(results)
        for name in REPEATED
        if name in trial.metrics
    }
    metrics = {
        name: replace(metric, again=means[name]) if name in means else metric
        for name, metric in trial.metrics.items()
    }
    return replace(trial, metrics=metrics)
