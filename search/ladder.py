"""The ladder of a job: a policy begins on the lowest rung, and who looks good is evaluated again on the next.

Everything follows from the trials that it was told, in their order, and from those that were begun.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from search.fidelity import RUNGS, SuccessiveHalving
from search.gain import box_of, gains
from search.transfer import Transfer
from search.trial import ANCHOR, PROMOTION, Trial, TrialState
from spaces import direction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from search.spec import JobSpec
    from search.sweep import Floats
    from spaces import Metrics, Policy

CLOSING_SHARE: Final = 0.25
"""Of the budget at most, for survivors of lower rungs once it runs out."""


class Ladder:
    """Who is evaluated again.

    Args:
        spec: of the job; accuracy is among its objectives.
        rungs: fidelities, ascending to 1.
    """

    def __init__(self, spec: JobSpec, rungs: Sequence[float] = RUNGS) -> None:
        self._spec, self._rungs = spec, tuple(rungs)
        self._halving = SuccessiveHalving(rungs)
        self._results: dict[str, dict[int, Trial]] = {}
        self._running: dict[int, Trial] = {}
        self._transfer = Transfer.fitted(len(rungs), [])

    def first(self, policy: Policy, left: float) -> float:
        """The fidelity at which a policy begins: the full one where no training could be shortened.

        Args:
            policy: that is tried for the first time.
            left: of the budget, in trials of full fidelity: the last one is not begun below.
        """
        is_short = policy.reduced(self._rungs[0]) != policy
        return self._rungs[0] if is_short and left > 1 else self._rungs[-1]

    def begin(self, trial: Trial) -> None:
        """A trial was asked for."""
        self._running[trial.number] = trial
        self._halving.begin(trial.policy.digest, self._rungs.index(trial.fidelity))

    def tell(self, trial: Trial) -> None:
        """A trial has ended."""
        self._running.pop(trial.number, None)
        rung, digest = self._rungs.index(trial.fidelity), trial.policy.digest
        self._results.setdefault(digest, {})[rung] = trial
        is_complete = _is_complete(trial, self._spec.objectives)
        values = self._values(trial.metrics) if is_complete else [math.nan] * len(self._spec.objectives)
        self._halving.report(digest, rung, values)
        if trial.origin == PROMOTION:
            self._transfer = Transfer.fitted(len(self._rungs), self._pairs())

    @property
    def running(self) -> list[Trial]:
        """Trials that were asked for and have not ended, by number."""
        return [self._running[number] for number in sorted(self._running)]

    def expected(self, trial: Trial) -> Trial:
        """A trial as it is expected to end at full fidelity; one without result stays as it is."""
        rung = self._rungs.index(trial.fidelity)
        if rung == len(self._rungs) - 1 or not _is_complete(trial, self._spec.objectives):
            return trial
        accuracy = trial.metrics["accuracy"]
        value = self._transfer.to_full(rung, accuracy.value)
        metrics = {**trial.metrics, "accuracy": replace(accuracy, value=value, low=None, high=None)}
        if "accuracy_drop" in metrics:
            drop = metrics["accuracy_drop"]
            fallen = drop.value + accuracy.value - value
            metrics["accuracy_drop"] = replace(drop, value=fallen, low=None, high=None, p_value=None)
        return replace(trial, metrics=metrics, violates=self._spec.violations(metrics))

    def standings(self) -> list[Trial]:
        """Each policy once, in the order of first trials: its best-known result as expected at full fidelity.

        Number, origin and sampler's state are the first trial's, so that a sampler can be told.
        """
        found = []
        for rungs in self._results.values():
            first, last = rungs[min(rungs)], rungs[max(rungs)]
            found.append(
                replace(
                    self.expected(last),
                    number=first.number,
                    origin=first.origin,
                    sampler_state=first.sampler_state,
                )
            )
        return found

    def promotion(self, left: float) -> tuple[Trial, float] | None:
        """The trial whose policy is evaluated again now, and at which fidelity, or ``None``.

        Anchors climb all rungs at once: they are few, far apart, and teach what a rung lets expect of the
        full fidelity. Of others, a rung's share goes on: who is expected to add most to the front.

        Args:
            left: of the budget, in trials of full fidelity; 0 or less where nothing else is left to try.
        """
        top = len(self._rungs) - 1
        pilot = next((trial for trial in self._resting(top) if self._is_pilot(trial)), None)
        if pilot is not None:
            return pilot, self._rungs[self._rungs.index(pilot.fidelity) + 1]
        survivors = self._worthy(self._resting(top), top)
        if survivors and left <= max(1.0, min(len(survivors), CLOSING_SHARE * self._spec.budget.trials)):
            return survivors[0], self._rungs[top]
        for rung in range(top - 1, -1, -1):
            waiting = [self._results[str(digest)][rung] for digest in self._halving.waiting(rung)]
            worthy = self._worthy(waiting, rung + 1)
            if worthy:
                return worthy[0], self._rungs[rung + 1]
        return None

    def _resting(self, rung: int) -> list[Trial]:
        """The last trial of each policy that has a result, does not run, and was not begun on a rung."""
        last = [rungs[max(rungs)] for rungs in self._results.values()]
        going = {trial.policy.digest for trial in self._running.values()}
        return [
            trial
            for trial in last
            if self._rungs.index(trial.fidelity) < rung
            and trial.policy.digest not in going
            and _is_complete(trial, self._spec.objectives)
        ]

    def _is_pilot(self, trial: Trial) -> bool:
        rungs = self._results[trial.policy.digest]
        return rungs[min(rungs)].origin == ANCHOR

    def _worthy(self, candidates: Sequence[Trial], rung: int) -> list[Trial]:
        """Those that are expected to add to the front of all that were begun on a rung, most first.

        All count as they are expected at full fidelity. Who keeps the constraints comes before who does not.
        """
        if not candidates:
            return []
        known = {t.policy.digest: t for t in self.standings() if _is_complete(t, self._spec.objectives)}
        values = {digest: self._values(trial.metrics) for digest, trial in known.items()}
        ahead = [found for digest, found in values.items() if self._highest(digest) >= rung]
        points: Floats = np.array([values[trial.policy.digest] for trial in candidates])
        added = gains(points, np.array(ahead), box_of(np.array(list(values.values()))))
        order = [row for row in np.argsort(-added, kind="stable").tolist() if added[row] > 0]
        order.sort(key=lambda row: bool(known[candidates[row].policy.digest].violates))
        return [candidates[row] for row in order]

    def _highest(self, digest: str) -> int:
        """The highest rung on which a policy was begun."""
        running = (trial.fidelity for trial in self._running.values() if trial.policy.digest == digest)
        return max(*self._results[digest], *map(self._rungs.index, running), -1)

    def _pairs(self) -> list[tuple[int, float, float]]:
        """Accuracies of one policy on neighbouring rungs: the lower rung, then both values."""
        found = []
        for rungs in self._results.values():
            complete = [rung for rung in sorted(rungs) if _is_complete(rungs[rung], ("accuracy",))]
            for low, high in pairwise(complete):
                if high == low + 1:
                    found.append((low, rungs[low].value("accuracy"), rungs[high].value("accuracy")))
        return found

    def _values(self, metrics: Metrics) -> list[float]:
        """Objectives, all minimised."""
        return [
            -metrics[name].value if direction(name) == "maximize" else metrics[name].value
            for name in self._spec.objectives
        ]


def _is_complete(trial: Trial, objectives: Sequence[str] | Mapping[str, object]) -> bool:
    return trial.state is TrialState.COMPLETED and all(name in trial.metrics for name in objectives)
