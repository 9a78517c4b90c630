"""The end of a job: its finalists are trained again, its front is measured jointly and tested once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from search.finalists import fresh_seeds, most_finalists, next_finalist, repeated
from search.optimism import Optimism
from spaces import TautenError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from search.pareto import Front
    from search.runners.crew import Crew
    from search.runners.ledger import Artifacts, Ledger
    from search.spec import JobSpec
    from search.trial import Trial
    from spaces import Metrics

REMEASURE_ROUNDS: Final = 3


class Finishing:
    """What is done once no more trials are asked for; `trials` is changed in place.

    Args:
        ledger: of the job.
        artifacts: where the trials' files are.
        crew: who evaluates; nothing may be out.
        spec: of the job.
        trials: by number.
        find_front: of the trials as they are by now.
    """

    def __init__(
        self,
        ledger: Ledger,
        artifacts: Artifacts,
        crew: Crew,
        spec: JobSpec,
        trials: dict[int, Trial],
        find_front: Callable[[], Front],
    ) -> None:
        self._ledger, self._artifacts, self._crew, self._spec = ledger, artifacts, crew, spec
        self._trials, self._front = trials, find_front
        self._results: dict[int, Metrics] = {}

    def run(self, may_repeat: Callable[[], bool]) -> None:
        """Measures the front until it stays as it is, chooses among finalists, and tells of the optimism.

        Args:
            may_repeat: there is time to train another finalist again.
        """
        self._measure()
        for _ in range(most_finalists(self._spec)):
            number = next_finalist(self._front())
            if number is None or not may_repeat() or not self._repeat(number):
                break
        self._tell_optimism()

    def _measure(self) -> None:
        """Latency of the front, all together, until no trial joins it that was not among the measured."""
        for _ in range(REMEASURE_ROUNDS):
            members = {trial.number for trial in self._front().trials}
            if not members - self._results.keys():
                return
            numbers = sorted(members | self._results.keys() - {-1})
            self._results = self._crew.finish({number: self._artifact(number) for number in numbers})
            for number in numbers:
                trial, latency = self._trials[number], self._results[number]["latency_ms"]
                violates = self._spec.violations({**trial.metrics, "latency_ms": latency})
                self._trials[number] = trial.remeasured(latency, violates)
            self._ledger.update_trials([self._trials[number] for number in numbers])
            tested: dict[int, dict[str, Any]] = {
                number: {name: found[name].to_dict() for name in found if name.endswith("_test")}
                for number, found in self._results.items()
            }
            reference = tested.pop(-1)
            self._ledger.set_extras(tested)
            accuracy_test = reference["accuracy_test"]
            self._ledger.set_reference({**self._ledger.job.reference, "accuracy_test": accuracy_test})

    def _repeat(self, number: int) -> bool:
        """Trains a finalist again with fresh seeds; where that fails, whoever watches is told."""
        trial, results = self._trials[number], []
        for seed in fresh_seeds(self._spec.seed, number):
            try:
                results.append(self._crew.repeat(trial, seed))
            except TautenError as error:
                self._ledger.note("finalist.skipped", {"trial": number, "seed": seed, "detail": str(error)})
                break
        if results:
            self._trials[number] = repeated(trial, results)
            self._ledger.update_trials([self._trials[number]])
        return bool(results)

    def _tell_optimism(self) -> None:
        front = self._front()
        drops = {
            trial.number: (trial.metrics["accuracy_drop"], self._results[trial.number]["accuracy_drop_test"])
            for trial in front.trials
            if trial.number in self._results and "accuracy_drop" in trial.metrics
        }
        found = Optimism.of(front.chosen, drops, self._spec.constraints.get("accuracy_drop"))
        if found is not None:
            document = found.to_dict()
            self._ledger.set_reference({**self._ledger.job.reference, "optimism": document})
            self._ledger.note("front.optimism", document)

    def _artifact(self, number: int) -> Path:
        artifact = self._trials[number].artifact
        if artifact is None:
            raise UnknownName("artifact of trial", str(number))
        return self._artifacts.path(artifact.digest)
