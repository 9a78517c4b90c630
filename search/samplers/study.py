"""Optuna's samplers behind ask and tell, over an in-memory study that is rebuilt from finished trials.

The truth lies in the trials; the study can be thrown away at any time. Randomness is drawn anew for each
trial from the job's seed and the trial's number, so a study that was rebuilt proposes what the lost one
would have proposed.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import optuna
from optuna.distributions import IntDistribution
from optuna.samplers import PartialFixedSampler, RandomSampler
from optuna.trial import FrozenTrial, create_trial
from optuna.trial import TrialState as OptunaState

from search.samplers.proposal import Proposal, seed_for
from search.trial import Trial, TrialState
from spaces import Axis, Point, SearchSpace, direction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from optuna.samplers import BaseSampler

    from search.spec import JobSpec


SKIPPED: Final = "tauten:skipped"
"""Attribute of a failed row whose policy was never evaluated, though nothing is wrong with it."""


class StudySampler:
    """A multi-objective Optuna sampler.

    Args:
        space: to propose from.
        spec: gives objectives, constraints and seed.
        make: a fresh sampler from a seed.
        anchor_state: system attributes that make a trial count that the sampler did not propose itself.
    """

    def __init__(
        self,
        space: SearchSpace,
        spec: JobSpec,
        make: Callable[[int], BaseSampler],
        anchor_state: Mapping[str, Any] | None = None,
    ) -> None:
        self._space, self._spec, self._make = space, spec, make
        self._anchor_state = dict(anchor_state or {})
        directions = [direction(name) for name in spec.objectives]
        with silently():
            self._study = optuna.create_study(directions=directions, sampler=make(spec.seed))
        self._pending: dict[int, optuna.Trial] = {}

    def ask(self, number: int) -> Proposal:
        """The proposal for a trial number; depends on what was told, the seed and the number alone."""
        with silently():
            self._study.sampler = self._make(seed_for(self._spec.seed, number))
            trial = self._study.ask()
            point = self._space.decide(lambda axis: trial.suggest_int(axis.name, 0, len(axis.choices) - 1))
        self._pending[number] = trial
        attributes = self._study.get_trials(deepcopy=False)[trial.number].system_attrs
        return Proposal(point, _portable(attributes))

    def expect(self, trial: Trial) -> None:
        """Takes in a trial that was proposed by the sampler whose place this one takes, and still runs."""
        axes = _axes(self._space, trial.point)
        with silently():
            fixed = {axis.name: trial.point[axis.name] for axis in axes}
            self._study.sampler = PartialFixedSampler(fixed, RandomSampler(seed=0))
            asked = self._study.ask()
            for axis in axes:
                asked.suggest_int(axis.name, 0, len(axis.choices) - 1)
        self._pending[trial.number] = asked

    @property
    def trials(self) -> Sequence[FrozenTrial]:
        """The study's rows, in order; nobody may change them."""
        return self._study.get_trials(deepcopy=False)

    @property
    def insight(self) -> Any:
        """What the sampler says of its last proposal; ``None`` of one that says nothing."""
        return getattr(self._study.sampler, "insight", None)

    def tell(self, trial: Trial) -> None:
        """Takes in a trial that has ended, proposed here or elsewhere.

        A proposal always becomes two rows of the study, one that failed and one with the result: the
        caller may have evaluated another point than the proposed one, and a rebuilt study must have the
        same rows.
        """
        asked = self._pending.pop(trial.number, None)
        with silently():
            if asked is not None:
                self._study.tell(asked, state=OptunaState.FAIL)
            elif trial.origin != "anchor":
                self._study.add_trial(create_trial(state=OptunaState.FAIL))
            self._study.add_trial(self._frozen(trial))

    def _frozen(self, trial: Trial) -> FrozenTrial:
        axes = _axes(self._space, trial.point)
        if trial.state is not TrialState.COMPLETED:
            is_skipped = trial.state is TrialState.GATED
            attributes = {SKIPPED: True} if is_skipped else {}
            return create_trial(state=OptunaState.FAIL, system_attrs=attributes, **self._placed(trial, axes))
        state = self._anchor_state if trial.origin == "anchor" else trial.sampler_state
        return create_trial(
            **self._placed(trial, axes),
            values=[trial.value(name) for name in self._spec.objectives],
            system_attrs=dict(state),
            constraints=self._constraints(trial),
        )

    def _placed(self, trial: Trial, axes: Sequence[Axis]) -> dict[str, Any]:
        return {
            "params": {axis.name: trial.point[axis.name] for axis in axes},
            "distributions": {axis.name: IntDistribution(0, len(axis.choices) - 1) for axis in axes},
        }

    def _constraints(self, trial: Trial) -> dict[str, float]:
        """0 or less is feasible."""
        return {name: trial.violates.get(name, 0.0) for name in self._spec.constraints}


def _axes(space: SearchSpace, point: Point) -> Sequence[Axis]:
    axes: list[Axis] = []

    def choose(axis: Axis) -> int:
        axes.append(axis)
        return point[axis.name]

    space.decide(choose)
    return axes


def _portable(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """System attributes that a rebuilt trial needs: NSGA-II's generation, not TPE's record of its draw."""
    return {name: value for name, value in attributes.items() if name.endswith(":generation")}


@contextmanager
def silently() -> Iterator[None]:
    """Optuna calls group-wise TPE and metric names experimental, and logs trials; none of it is news here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        yield
