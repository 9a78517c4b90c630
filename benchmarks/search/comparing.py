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

    Runs = Mapping[int, Run]
    """Of one method, by seed."""


RESAMPLES: Final = 2_000
LEAST_PAIRS: Final = 6
BUDGETS: Final = (20, 50, 100, 200)


def rows_for(name: str, runs: Mapping[str, Runs], budget: int) -> Iterator[Row]:
    """All that is claimed of one problem.

    Args:
        name: of the problem.
        runs: by method and seed; methods are compared on the seeds that both have.
        budget: trials of each run; bars at 200 trials are read at this budget.
    """
    for method, own in runs.items():
        reached = min(len(run.values) for run in own.values())
        budgets = [step for step in BUDGETS if step <= min(budget, reached)]
        values = [np.median([run.hypervolume(step) for run in own.values()]) for step in budgets]
        spread = interval([run.hypervolume(min(budget, reached)) for run in own.values()])
        shown = " / ".join(f"{value:.3f}" for value in values)
        what = f"{name}: {method}, hypervolume at {' / '.join(map(str, budgets))}, {len(own)} seeds"
        yield Row(what, "", shown, spread)
    guided = runs.get("guided")
    if not guided:
        return
    yield from _speed(name, guided, runs, budget)
    yield from _against_sweep(name, guided, runs, budget)
    yield from _against_unprofiled(name, guided, runs, [step for step in BUDGETS[1:] if step <= budget])
    shuffled, tpe = runs.get("guided, shuffled profile"), runs.get("anchored multivariate TPE")
    if shuffled and tpe:
        ratio = ratios(shuffled, tpe, budget)
        yield _ratio_row(f"{name}: shuffled profile / anchored multivariate TPE at {budget}", ratio, 0.98)
    for ablated in ("guided, no exploration", "guided, poor profile", "guided, shuffled profile"):
        if ablated in runs:
            ratio = ratios(runs[ablated], guided, budget)
            yield Row(f"{name}: {ablated} / guided at {budget}", "", *_told(ratio, 1.0))


def _speed(name: str, guided: Runs, runs: Mapping[str, Runs], budget: int) -> Iterator[Row]:
    """Against the cold method whose median is best."""
    cold = {method: runs[method] for method in COLD if method in runs}
    if not cold:
        return
    medians = {
        method: float(np.median([run.hypervolume(budget) for run in own.values()]))
        for method, own in cold.items()
    }
    best = max(medians, key=medians.__getitem__)
    needed = [one.trials_to(other.hypervolume(budget)) for one, other in paired(guided, cold[best])]
    yield _count_row(f"{name}: trials to {best}'s hypervolume at {budget}", needed, 25)


def _against_sweep(name: str, guided: Runs, runs: Mapping[str, Runs], budget: int) -> Iterator[Row]:
    sweep = runs.get("sweep alone")
    if not sweep:
        return
    needed = [one.trials_to(other.hypervolume(budget)) for one, other in paired(guided, sweep)]
    yield _count_row(f"{name}: trials to the sweep alone's hypervolume at {budget}", needed, 70)
    yield _ratio_row(f"{name}: guided / sweep alone at {budget}", ratios(guided, sweep, budget), 1.04)


def _against_unprofiled(
    name: str, guided: Runs, runs: Mapping[str, Runs], budgets: Sequence[int]
) -> Iterator[Row]:
    other = runs.get("anchored GP, no profile")
    if not other:
        return
    for step in budgets:
        ratio = ratios(guided, other, step)
        yield _ratio_row(f"{name}: guided / anchored GP without profile at {step}", ratio, 1.0)
    needed = [one.trials_to(rival.hypervolume(50)) for one, rival in paired(guided, other)]
    yield _count_row(f"{name}: trials to the anchored GP's hypervolume at 50", needed, 25)


def paired(ours: Runs, theirs: Runs) -> list[tuple[Run, Run]]:
    """Runs of the seeds that both methods have."""
    return [(ours[seed], theirs[seed]) for seed in sorted(ours.keys() & theirs.keys())]


def ratios(ours: Runs, theirs: Runs, budget: int) -> list[float]:
    """Hypervolume against hypervolume, seed by seed."""
    return [
        one.hypervolume(budget) / max(other.hypervolume(budget), 1e-12) for one, other in paired(ours, theirs)
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
    median = float(np.median(needed)) if needed else float("inf")
    shown = f"{median:.0f}" if np.isfinite(median) else "never"
    worst = max(needed, default=float("inf"))
    spread = f"worst of {len(needed)} seeds {worst:.0f}" if np.isfinite(worst) else "some seeds never"
    return Row(what, f"at most {most}", shown, spread, median <= most)


def _ratio_row(what: str, ratio: Sequence[float], least: float) -> Row:
    shown, notes = _told(ratio, least)
    return Row(what, f"at least {least:g}", shown, notes, bool(ratio) and float(np.median(ratio)) >= least)


def _told(ratio: Sequence[float], least: float) -> tuple[str, str]:
    """The median in digits; its interval, and a paired test against the bar where there are pairs enough."""
    if not ratio:
        return "no seed in common", ""
    notes = [interval(ratio)]
    differences = np.asarray(ratio) - least
    if len(ratio) >= LEAST_PAIRS and differences.any():
        notes.append(f"p = {wilcoxon(differences).pvalue:.2g}")
    return f"{np.median(ratio):.3f}", ", ".join(filter(None, notes))
