"""Runs a job that searches nothing: it scores the finished candidates of another job on its own target.

Candidates are measured jointly, as many at a time as one measurement holds; a group's results are committed
before the next begins, so that whatever ends the job, it goes on with the candidates that are left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from evaluators import Outcome
from search.runners.local import LocalRunner
from search.trial import TrialState
from spaces import MeasurementError, MissingFile, TautenError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from search.runners.course import Course
    from search.source import Source
    from search.trial import Trial

    Waiting = tuple[Trial, Mapping[str, Any]]

TOGETHER: Final = 12
"""As many candidates as `evaluators.retarget` measures jointly."""


class RetargetRunner(LocalRunner):
    """The controller of one such job; see `LocalRunner` for its arguments and how it ends."""

    def _search(self) -> str | None:
        source = self._spec.source
        if source is None:
            raise TautenError("the job searches; only one that was retargeted has candidates to score")
        self._prepare(source)
        self._trials = {trial.number: trial for trial in self._ledger.trials()}
        course = self._course()
        waiting = list(self._ledger.waiting())
        for start in range(0, len(waiting), TOGETHER):
            self._score(waiting[start : start + TOGETHER], source, course)
        self._finishing().run(may_repeat=lambda: False)
        refused = sum(trial.state is not TrialState.COMPLETED for trial in self._trials.values())
        return f"{refused} of {len(self._trials)} trials cannot be scored there" if refused else None

    def _prepare(self, source: Source) -> None:
        """Makes the reference ready; recipes say what artifacts were shaped for, which is the old target."""
        self._open()
        reference = self._ledger.job.reference
        shaped_for = source.provenance["deployment"]
        if reference["provenance"]["deployment"] != shaped_for:
            provenance = {**reference["provenance"], "deployment": shaped_for}
            self._ledger.set_reference({**reference, "provenance": provenance})

    def _score(self, group: Sequence[Waiting], source: Source, course: Course) -> None:
        for trial, _ in group:
            self._ledger.start(replace(trial, state=TrialState.RUNNING))
        outcomes = self._outcomes(group, source)
        for trial, _ in group:
            outcome = _of_the_same_file(trial, outcomes[trial.number])
            ended = trial.ended(outcome, self._spec.violations(outcome.metrics))
            self._trials[trial.number] = ended
            self._ledger.finish(ended, course.progress(self._front()))

    def _outcomes(self, group: Sequence[Waiting], source: Source) -> dict[int, Outcome]:
        """One process for all; where it dies, each has one of its own, so that one candidate fails alone."""
        present: dict[int, dict[str, Any]] = {}
        outcomes: dict[int, Outcome] = {}
        for trial, before in group:
            try:
                present[trial.number] = self._candidate(trial, before)
            except (MissingFile, UnknownName) as error:
                outcomes[trial.number] = Outcome("failed", str(error))
        if not present:
            return outcomes
        try:
            return outcomes | self._crew.retarget(present, source.provenance)
        except MeasurementError as error:
            if len(present) == 1:
                (number,) = present
                return outcomes | {number: Outcome("failed", f"the evaluation failed: {error}")}
        for trial, before in group:
            if trial.number in present:
                outcomes |= self._outcomes([(trial, before)], source)
        return outcomes

    def _candidate(self, trial: Trial, before: Mapping[str, Any]) -> dict[str, Any]:
        if trial.artifact is None:
            raise UnknownName("artifact of trial", str(trial.number))
        return {
            "policy": trial.policy.to_dict(),
            "executed_as": before["executed_as"],
            "metrics": before["metrics"],
            "path": str(self._around.artifacts.path(trial.artifact.digest)),
        }


def _of_the_same_file(trial: Trial, outcome: Outcome) -> Outcome:
    """The outcome, unless what was scored is not the file that the trial had."""
    if outcome.artifact is None or outcome.artifact == trial.artifact:
        return outcome
    return Outcome("failed", "its artifact is damaged: the file has another digest than it had")
