"""When a job's search ends: trials, seconds, or the expectation that more would gain next to nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from search.finalists import SEEDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from search.spec import Budget
    from search.trial import Trial

WINDOW: Final = 10
"""Trials over which the hypervolume's rise is averaged."""

LEAST_TRIALS: Final = 2 * WINDOW
FINAL_SHARE: Final = 0.2
"""Of a budget of seconds at most, for finalists."""

ROUNDING: Final = 1e-9


def spent(trials: Iterable[Trial]) -> float:
    """What trials have used up, in trials of full fidelity."""
    return math.fsum(trial.charge for trial in trials)


def trial_s(trials: Iterable[Trial]) -> float:
    """Mean seconds of a trial of full fidelity, by what those that count have taken; 0 without any."""
    counted = [trial for trial in trials if trial.state.counts]
    charges = spent(counted)
    return math.fsum(trial.seconds for trial in counted) / charges if charges else 0.0


def reserved_s(budget: Budget, trials: Iterable[Trial], finalists: int) -> float:
    """Seconds of a budget that are kept for finalists, so that the job as a whole ends in time."""
    if budget.wall_s is None:
        return 0.0
    needed = SEEDS * finalists * trial_s(trials)
    return min(FINAL_SHARE * budget.wall_s, needed)


def left(
    budget: Budget,
    trials: Sequence[Trial],
    elapsed_s: float,
    finalists: int = 0,
    *,
    out: float = 0.0,
    workers: int = 1,
) -> float:
    """Trials of full fidelity that the budget still pays for; 0 or less where it is used up.

    A trial that is begun is finished, so that a search may take up to one trial more than its seconds.

    Args:
        budget: in trials and perhaps in seconds.
        trials: of the job so far.
        elapsed_s: seconds that the job has run.
        finalists: that may be trained again in the end.
        out: what trials that run will use up, in trials of full fidelity.
        workers: trials that are evaluated at once.
    """
    rest = budget.trials - spent(trials) - out
    rest = 0.0 if rest < ROUNDING else rest
    if budget.wall_s is None:
        return rest
    seconds, each = budget.wall_s - elapsed_s - reserved_s(budget, trials, finalists), trial_s(trials)
    if seconds <= 0:
        return min(rest, 0.0)
    return min(rest, workers * seconds / each) if each else rest


def is_exhausted(hypervolumes: Sequence[float], rest: float, least: float) -> bool:
    """What the rest of a budget may be expected to gain is less than a share of what there is.

    The hypervolume is taken to go on rising as in the last `WINDOW` trials, though rises shrink: it ends
    late rather than early.

    Args:
        hypervolumes: after each trial that counts, in order.
        rest: trials that the budget still pays for.
        least: the share; 0 never ends before the budget.
    """
    if least <= 0 or len(hypervolumes) < LEAST_TRIALS or hypervolumes[-1] <= 0:
        return False
    rise = (hypervolumes[-1] - hypervolumes[-1 - WINDOW]) / WINDOW
    return 0 <= rise * rest < least * hypervolumes[-1]
