"""Asynchronous successive halving for several objectives: who is worth a higher fidelity. Pure; runs nothing.

MO-ASHA (Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving"): of the results on a rung,
those come first that the fewest layers of others dominate (non-dominated rank, Deb et al. 2002), and within
a rank those that cover it best (an epsilon-net, found by taking the farthest first). The best part of a rung
is promoted as soon as there is one; nobody waits until a rung is full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Literal

import moocore
import numpy as np

from search.sweep import farthest_first
from spaces import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from search.sweep import Floats

RUNGS: Final = (0.0, 0.25, 1.0)
"""Shares of the full recovery: calibration alone, a short recovery, the full one."""

REDUCTION: Final = 3
"""One of so many is promoted (eta in the paper)."""

LEAST_REDUCTION: Final = 2

Decision = Literal["continue", "stop"]


@dataclass(frozen=True, slots=True)
class Promotion:
    """Something that is to be evaluated again.

    Attributes:
        trial: what was reported.
        rung: where it is to be evaluated next.
    """

    trial: Hashable
    rung: int


class SuccessiveHalving:
    """The results on each rung.

    What it answers depends on what was reported alone, in the order of reporting: told the same again, it is
    the same. Equal results are told apart by that order.

    Args:
        rungs: fidelities, ascending; the last is the full one.
        reduction: one of so many is promoted, at least 2.

    Raises:
        InvalidValue: the rungs do not ascend, or nothing would ever be left out.
    """

    def __init__(self, rungs: Sequence[float] = RUNGS, reduction: int = REDUCTION) -> None:
        if not rungs or any(not low < high for low, high in pairwise(rungs)):
            raise InvalidValue.at("/rungs", f"must be fidelities that ascend, not {list(rungs)}")
        if reduction < LEAST_REDUCTION:
            raise InvalidValue.at("/reduction", f"must be at least {LEAST_REDUCTION}, not {reduction}")
        self.rungs, self._reduction = tuple(rungs), reduction
        self._results: list[dict[Hashable, tuple[float, ...]]] = [{} for _ in rungs]
        self._begun: list[set[Hashable]] = [set() for _ in rungs]

    def begin(self, trial: Hashable, rung: int) -> None:
        """An evaluation of a trial on a rung has begun; it is not promotable to that rung again."""
        self._begun[rung].add(trial)

    def report(self, trial: Hashable, rung: int, values: Sequence[float]) -> Decision:
        """Takes in a result, and says whether the trial may go on at once.

        Args:
            trial: whose result it is; the same on every rung.
            rung: position in `rungs`; a second result of a trial on a rung replaces the first.
            values: objectives, all minimised; the same number each time. One that is not finite is worse
                than every other.

        Returns:
            ``continue`` where the trial is among the best part of its rung, rounded up, so that the first
            goes on; ``stop`` else, and on the last rung. For schedulers that stop what runs; those that
            promote what has ended ask `promotable`.
        """
        self.begin(trial, rung)
        self._results[rung][trial] = tuple(values)
        if rung == len(self.rungs) - 1:
            return "stop"
        results = self._results[rung]
        best = self._best(rung, math.ceil(len(results) / self._reduction))
        return "continue" if trial in best else "stop"

    def promotable(self) -> Promotion | None:
        """What to evaluate next on a higher rung, or ``None``: the highest rung first, then the best.

        Of n results on a rung, n / `reduction` may be promoted, rounded down. A failed result is never.
        """
        for rung in range(len(self.rungs) - 2, -1, -1):
            for trial in self._best(rung, len(self._results[rung]) // self._reduction):
                if trial not in self._begun[rung + 1]:
                    return Promotion(trial, rung + 1)
        return None

    def waiting(self, rung: int) -> list[Hashable]:
        """What may be promoted from a rung, the best first; empty once its share has been.

        For those who know better than the order here which of them is worth it. Of n results n / `reduction`
        may be promoted in all, rounded down.
        """
        results, begun = self._results[rung], self._begun[rung + 1]
        if sum(trial in begun for trial in results) >= len(results) // self._reduction:
            return []
        return [trial for trial in self.ordered(rung) if trial not in begun]

    def ordered(self, rung: int) -> list[Hashable]:
        """All trials on a rung whose results are finite, the best first."""
        return self._best(rung, len(self._results[rung]))

    def _best(self, rung: int, count: int) -> list[Hashable]:
        finite = {t: v for t, v in self._results[rung].items() if all(map(math.isfinite, v))}
        if not finite or count == 0:
            return []
        trials = list(finite)
        return [trials[row] for row in order_of(np.array(list(finite.values())))[:count]]


def order_of(values: Floats) -> list[int]:
    """Rows from best to worst: by non-dominated rank, within a rank by its epsilon-net.

    A net starts where the first objective is least, and goes on with the row farthest from all before it,
    each objective scaled to its range within the rank. Rows that repeat one come after the rank's others.

    Args:
        values: ``n x d``, finite, all minimised.
    """
    order: list[int] = []
    ranks = ranks_of(values)
    for rank in range(int(ranks.max(initial=-1)) + 1):
        rows = np.flatnonzero(ranks == rank)
        rows = rows[np.argsort(values[rows, 0], kind="stable")]
        net = farthest_first(values[rows], len(rows))
        rest = sorted(set(range(len(rows))) - set(net))
        order += [int(rows[at]) for at in (*net, *rest)]
    return order


def ranks_of(values: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """0 for rows that no other dominates, 1 for those that only these do, and so on; equal rows are alike.

    Args:
        values: ``n x d``, finite, all minimised.
    """
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    return np.asarray(moocore.pareto_rank(values), dtype=np.int64)
