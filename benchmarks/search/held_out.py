"""Final fronts on the test split: by how much validation flatters them, and whether methods rank alike."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import moocore
import numpy as np
from scipy.stats import kendalltau

from benchmarks.search.setting import shared_hypervolume
from benchmarks.table import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.search.setting import Run
    from benchmarks.search.trained import Trained

TIE: Final = 0.01
"""Medians that lie nearer to each other have no order that a few seeds could tell."""


def test_rows(setting: Trained, runs: Mapping[str, Mapping[int, Run]], end: float) -> Iterator[Row]:
    """A row a method, and one for their order.

    Args:
        setting: evaluates the members of fronts on the test split.
        runs: by method and seed.
        end: no run is begun after this time, by `time.monotonic`; a method that lacks any is left out.
    """
    validation, test = {}, {}
    for method, own in runs.items():
        pairs = [(_on_validation(run), _on_test(setting, run)) for run in own.values() if _in_time(end)]
        if pairs:
            validation[method], test[method] = np.median(np.array(pairs), axis=0)
            change = test[method] / validation[method] - 1
            what = f"{setting.name}: {method}, final front on the test split against validation"
            yield Row(what, "", f"{test[method]:.3f} against {validation[method]:.3f}", f"{change:+.1%}")
    if len(validation) > 1:
        yield _order(setting.name, validation, test)


def _in_time(end: float) -> bool:
    return time.monotonic() < end


def _order(name: str, validation: Mapping[str, float], test: Mapping[str, float]) -> Row:
    """Whether some method overtakes another that was clearly better."""
    methods = list(validation)
    swapped = [
        f"{one} and {other}"
        for at, one in enumerate(methods)
        for other in methods[at + 1 :]
        if abs(validation[one] / validation[other] - 1) > TIE
        and (validation[one] - validation[other]) * (test[one] - test[other]) < 0
    ]
    agreement = kendalltau([validation[m] for m in methods], [test[m] for m in methods]).statistic
    shown = "; ".join(swapped) or "none"
    return Row(
        f"{name}: methods that change places on the test split",
        "none",
        shown,
        f"tau {agreement:.2f}",
        not swapped,
    )


def _on_validation(run: Run) -> float:
    return shared_hypervolume(np.array(run.values))


def _on_test(setting: Trained, run: Run) -> float:
    """Of the front alone, as users would have it: what validation chose."""
    values = np.array(run.values)
    front = np.flatnonzero(moocore.is_nondominated(values * np.array([-1.0, 1.0, 1.0])))
    inside = [at for at in front if values[at, 0] > 0]
    best = setting.reference("test")
    found = np.array([setting.evaluate(run.points[at], "test") for at in inside])
    return shared_hypervolume(found / np.array([best, 1.0, 1.0]))
