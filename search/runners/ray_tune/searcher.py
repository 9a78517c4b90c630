"""Proposes policies to Ray Tune: the ask and tell of a job, with any of its samplers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ray.tune.search import Searcher

from evaluators import Outcome
from search.engine import Engine
from search.trial import Trial, TrialState
from spaces import UNITS, Metric, Policy, metrics_from_dict, metrics_to_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search.guidance import Guidance
    from search.spec import JobSpec
    from spaces import SearchSpace

SCHEMA: Final = "tauten.tune/1"


class TautenSearcher(Searcher):
    """A searcher for `ray.tune.TuneConfig(search_alg=…)`, with ``num_samples=-1``.

    A trial's config is ``{"policy": …, "trial": number}``, the policy in its JSON form. A trial reports a
    number for each objective of the job under its name, and for each metric that a constraint names; it
    counts against the budget, which ends the run. One that ends in an error, or without all objectives, has
    failed: it counts too, and is not proposed again.

    Args:
        space: to search.
        spec: gives objectives, constraints, sampler, budget and seed; with one trial at a time, the same seed
            proposes the same as a job does.
        guidance: what the sampler ``guided`` is told beforehand.
    """

    def __init__(self, space: SearchSpace, spec: JobSpec, guidance: Guidance | None = None) -> None:
        super().__init__()
        self._space, self._spec, self._guidance = space, spec, guidance
        self._engine = Engine(space, spec, guidance=guidance)
        self._out: dict[str, Trial] = {}
        self._again: list[Trial] = []
        self._ended: list[Trial] = []

    @property
    def trials(self) -> list[Trial]:
        """The trials that have ended, in the order of ending."""
        return list(self._ended)

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: Mapping[str, Any], **spec: Any
    ) -> bool:
        """Refuses Tune's single metric and its search space: both stand in the job."""
        return metric is None and mode is None and not config

    def suggest(self, trial_id: str) -> Any:
        """The next policy; ``None`` while the trials that run may fill the budget, then ``FINISHED``."""
        done = sum(trial.state.counts for trial in self._ended)
        budget = self._spec.budget.trials
        if done >= budget or (self._engine.is_exhausted and not self._again and not self._out):
            return str(Searcher.FINISHED)
        if done + len(self._out) >= budget or (self._engine.is_exhausted and not self._again):
            return None
        trial = self._again.pop(0) if self._again else self._engine.ask()
        self._out[trial_id] = trial
        return {"policy": trial.policy.to_dict(), "trial": trial.number}

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        """Takes in what a trial last reported."""
        asked = self._out.pop(trial_id, None)
        if asked is None:
            return
        outcome = Outcome("failed", "the trial ended in an error") if error else self._outcome(result or {})
        trial = asked.ended(outcome, self._spec.violations(outcome.metrics))
        self._engine.tell(trial)
        self._ended.append(trial)

    def _outcome(self, result: Mapping[str, Any]) -> Outcome:
        wanted = dict.fromkeys((*self._spec.objectives, *self._spec.constraints))
        metrics = {
            name: Metric(float(result[name]), UNITS[name])
            for name in wanted
            if isinstance(result.get(name), int | float) and math.isfinite(result[name])
        }
        missing = [name for name in self._spec.objectives if name not in metrics]
        if missing:
            return Outcome("failed", f"it reported no finite number for {', '.join(missing)}", metrics)
        return Outcome("completed", None, metrics, seconds=float(result.get("time_total_s", 0.0)))

    def save(self, checkpoint_path: str) -> None:
        """Writes what was asked and told; Tune calls it now and then."""
        document = {
            "schema": SCHEMA,
            "ended": [_document(trial) for trial in self._ended],
            "out": [_document(trial) for trial in (*self._out.values(), *self._again)],
        }
        path = Path(checkpoint_path)
        aside = path.with_name(f".{path.name}")
        aside.write_text(json.dumps(document))
        aside.replace(path)

    def restore(self, checkpoint_path: str) -> None:
        """Goes on where `save` was called: trials that were out are suggested again, under their numbers."""
        document = json.loads(Path(checkpoint_path).read_text())
        self._ended = [_trial(item) for item in document["ended"]]
        self._again = sorted((_trial(item) for item in document["out"]), key=lambda trial: trial.number)
        self._out = {}
        self._engine = Engine(self._space, self._spec, self._ended, self._guidance)
        for trial in self._again:
            self._engine.take_up(trial)


def _document(trial: Trial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "policy": trial.policy.to_dict(),
        "point": dict(trial.point),
        "origin": trial.origin,
        "sampler_state": dict(trial.sampler_state),
        "state": str(trial.state),
        "reason": trial.reason,
        "metrics": metrics_to_dict(trial.metrics),
        "violates": dict(trial.violates),
        "seconds": trial.seconds,
    }


def _trial(document: Mapping[str, Any]) -> Trial:
    return Trial(
        **{
            **document,
            "policy": Policy.from_dict(document["policy"]),
            "state": TrialState(document["state"]),
            "metrics": metrics_from_dict(document["metrics"]),
        }
    )
