"""How far a job's search has come, what its budget still pays for, and why it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from search.budget import is_exhausted, left, spent, trial_s
from search.job import Progress
from search.spec import MAX_TRIALS
from search.trial import TrialState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from search.pareto import Front
    from search.spec import Budget
    from search.trial import Trial

ROUNDING: Final = 1e-9


class Course:
    """The search of one job; it looks at the trials as they are by now.

    Args:
        budget: of the job, which may be raised meanwhile.
        trials: that have ended, by number.
        elapsed_s: seconds that the job has run, over all attempts.
        front_of: the front of some trials.
        finalists: that may be trained again in the end.
        running: trials that are out, by number: the budget pays for them as well.
        workers: trials that are evaluated at once.
    """

    def __init__(
        self,
        budget: Callable[[], Budget],
        trials: Mapping[int, Trial],
        elapsed_s: Callable[[], float],
        front_of: Callable[[Sequence[Trial]], Front],
        finalists: int = 0,
        running: Mapping[int, Trial] | None = None,
        workers: int = 1,
    ) -> None:
        self._budget, self._trials, self._elapsed_s = budget, trials, elapsed_s
        self._front_of, self._finalists = front_of, finalists
        self._running: Mapping[int, Trial] = {} if running is None else running
        self._workers = workers
        self._volumes: list[float] = []

    @property
    def left(self) -> float:
        """Trials of full fidelity that the budget still pays for; 0 or less where it is used up."""
        return left(
            self._budget(),
            list(self._trials.values()),
            self._elapsed_s(),
            self._finalists,
            out=self._out,
            workers=self._workers,
        )

    @property
    def _out(self) -> float:
        """What the trials that run will use up, in trials of full fidelity."""
        return spent(replace(trial, state=TrialState.COMPLETED) for trial in self._running.values())

    @property
    def done(self) -> int:
        """Whole trials of the budget that are used up."""
        return int(spent(self._trials.values()) + ROUNDING)

    @property
    def has_time(self) -> bool:
        """The budget's seconds are not over, finalists included."""
        wall_s = self._budget().wall_s
        return wall_s is None or self._elapsed_s() < wall_s

    def why_end(self, *, nothing_left: bool) -> str | None:
        """Why the search ends now, in a line for a person; ``None`` where it goes on.

        Empty where its trials are used up, as was asked for.

        Args:
            nothing_left: every policy of the space was tried.
        """
        budget, rest = self._budget(), self.left
        if rest <= 0:
            if budget.wall_s is None or spent(self._trials.values()) + self._out >= budget.trials - ROUNDING:
                return ""
            return f"ended after {budget.wall_s:g} s, its wall-time budget, with {self.done} trials"
        if budget.min_gain and is_exhausted(self._past_volumes(), rest, budget.min_gain):
            least = f"{100 * budget.min_gain:g} %"
            return f"ended with {self.done} trials: all others were expected to gain less than {least}"
        if nothing_left:
            return f"ended with {self.done} trials: every policy of the space was tried"
        return None

    def progress(self, front: Front) -> Progress:
        """For whoever watches."""
        budget, done, elapsed_s = self._budget(), self.done, self._elapsed_s()
        rest, total = self.left + self._out, budget.trials
        each_s = trial_s(self._trials.values()) / self._workers
        if total == MAX_TRIALS and budget.wall_s is not None:  # as many as the seconds are expected to allow
            total = max(done, round(done + rest)) if each_s else total
        expected_s = elapsed_s + max(rest, 0.0) * each_s if each_s else None
        return Progress(done, total, front.hypervolume, elapsed_s, expected_s)

    def _past_volumes(self) -> list[float]:
        """The hypervolume after each trial that counts."""
        trials = [self._trials[number] for number in sorted(self._trials)]
        counted = [at for at, trial in enumerate(trials) if trial.state.counts]
        for at in counted[len(self._volumes) :]:
            self._volumes.append(self._front_of(trials[: at + 1]).hypervolume)
        return self._volumes
