"""Hypervolume by trials, a line a method: the median over seeds, with the seeds' range behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl
import numpy as np

mpl.use("svg")

from matplotlib import pyplot as plt  # the backend comes first

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.search.setting import Run

SHOWN: Final = {
    "guided": "#b3261e",
    "sweep alone": "#d98324",
    "anchored GP, no profile": "#3b6fb6",
    "guided, shuffled profile": "#8a5fb0",
    "anchored multivariate TPE": "#2e8b57",
    "multivariate TPE": "#7fbf9b",
    "NSGA-II 20": "#8c8c8c",
    "random": "#c4c4c4",
}
"""Methods that are drawn, and their colours."""

POINTS: Final = 40


def draw(directory: Path, name: str, runs: Mapping[str, Mapping[int, Run]], budget: int) -> Path:
    """Writes ``search-NAME.svg``.

    Args:
        directory: made if missing.
        name: of the problem.
        runs: by method and seed.
        budget: the last trial.
    """
    figure, axes = plt.subplots(figsize=(6.4, 3.6))
    steps = np.unique(np.linspace(5, budget, POINTS).astype(int))
    for method, colour in SHOWN.items():
        if method not in runs:
            continue
        lines = np.array([[run.hypervolume(int(step)) for step in steps] for run in runs[method].values()])
        axes.plot(steps, np.median(lines, axis=0), color=colour, label=method, linewidth=1.6)
        axes.fill_between(steps, lines.min(axis=0), lines.max(axis=0), color=colour, alpha=0.12, linewidth=0)
    axes.set(xlabel="trials, the profile charged", ylabel="hypervolume", title=name, xlim=(0, budget))
    axes.legend(fontsize=7, frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"search-{name}.svg"
    # without a date and with ids of its own, the same runs draw the same file
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
