"""Turns runs into rows: medians over seeds, bootstrap intervals of paired differences, paired tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import wilcoxon

from benchmarks.search.methods import COLD
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.search.setting import Run


RESAMPLES: Final = 2_000
LEAST_PAIRS: Final = 6
BUDGETS: Final = (20, 50, 100, 200)


def rows_for(name: str, runs: Mapping[str, Sequence[Run]], budget: int) -> Iterator[Row]:
    """All that is claimed of one problem.

    Args:
        name: of the problem.
        runs: by method, one run a seed, the same seeds for all.
        budget: trials of each run; bars at 200 trials are read at this budget.
    """
    budgets = [step for step in BUDGETS if step <= budget]
    for method, own in runs.items():
        values = [np.median([run.hypervolume(step) for run in own]) for step in budgets]
        spread = interval([run.hypervolume(budget) for run in own])
        shown = " / ".join(f"{value:.3f}" for value in values)
        what = f"{name}: {method}, hypervolume at {' / '.join(map(str, budgets))}"
        yield Row(what, "", shown, spread)
    yield from _speed(name, runs, budget)
    yield from _against_sweep(name, runs, budget)
    yield from _against_unprofiled(name, runs, budgets)
    shuffled, tpe = runs.get("guided, shuffled profile"), runs.get("anchored multivariate TPE")
    if shuffled and tpe:
        ratio = ratios(shuffled, tpe, budget)
        yield _ratio_row(f"{name}: shuffled profile / anchored multivariate TPE at {budget}", ratio, 0.98)


def _speed(name: str, runs: Mapping[str, Sequence[Run]], budget: int) -> Iterator[Row]:
    cold = {method: runs[method] for method in COLD if method in runs}
    if not cold:
        return
    best = max(cold, key=lambda method: float(np.median([run.hypervolume(budget) for run in cold[method]])))
    needed = [
        guided.trials_to(other.hypervolume(budget))
        for guided, other in zip(runs["guided"], cold[best], strict=True)
    ]
    yield _count_row(f"{name}: trials to {best}'s hypervolume at {budget}", needed, 25)


def _against_sweep(name: str, runs: Mapping[str, Sequence[Run]], budget: int) -> Iterator[Row]:
    sweep = runs.get("sweep alone")
    if not sweep:
        return
    needed = [
        guided.trials_to(other.hypervolume(budget))
        for guided, other in zip(runs["guided"], sweep, strict=True)
    ]
    yield _count_row(f"{name}: trials to the sweep alone's hypervolume at {budget}", needed, 70)
    yield _ratio_row(f"{name}: guided / sweep alone at {budget}", ratios(runs["guided"], sweep, budget), 1.04)


def _against_unprofiled(
    name: str, runs: Mapping[str, Sequence[Run]], budgets: Sequence[int]
) -> Iterator[Row]:
    other = runs.get("anchored GP, no profile")
    if not other:
        return
    for step in budgets[1:]:
        ratio = ratios(runs["guided"], other, step)
        yield _ratio_row(f"{name}: guided / anchored GP without profile at {step}", ratio, 1.0)
    needed = [run.trials_to(rival.hypervolume(50)) for run, rival in zip(runs["guided"], other, strict=True)]
    yield _count_row(f"{name}: trials to the anchored GP's hypervolume at 50", needed, 25)


def ratios(ours: Sequence[Run], theirs: Sequence[Run], budget: int) -> list[float]:
    """Hypervolume against hypervolume, seed by seed."""
    return [
        one.hypervolume(budget) / max(other.hypervolume(budget), 1e-12)
        for one, other in zip(ours, theirs, strict=True)
    ]


def interval(values: Sequence[float]) -> str:
    """The 95 % bootstrap interval of the median; empty of fewer than three values."""
    if len(values) < 3 or not np.isfinite(values).all():
        return ""
    draw = np.random.default_rng(0)
    sample = np.asarray(values)[draw.integers(len(values), size=(RESAMPLES, len(values)))]
    low, high = np.percentile(np.median(sample, axis=1), [2.5, 97.5])
    return f"{low:.3g} to {high:.3g}"


def _count_row(what: str, needed: Sequence[float], most: int) -> Row:
    median = float(np.median(needed))
    shown = f"{median:.0f}" if np.isfinite(median) else "never"
    worst = max(needed)
    spread = f"worst seed {worst:.0f}" if np.isfinite(worst) else "some seeds never"
    return Row(what, f"at most {most}", shown, spread, median <= most)


def _ratio_row(what: str, ratio: Sequence[float], least: float) -> Row:
    median = float(np.median(ratio))
    notes = [interval(ratio)]
    differences = np.asarray(ratio) - least
    if len(ratio) >= LEAST_PAIRS and differences.any():
        notes.append(f"p = {wilcoxon(differences).pvalue:.2g}")
    return Row(what, f"at least {least:g}", f"{median:.3f}", ", ".join(filter(None, notes)), median >= least)
