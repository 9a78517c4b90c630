"""Fronts, hypervolume and knee of finished trials; point dominance, intervals play no part.

Hypervolume is a share of the box between the worst point that counts and the ideal: accuracy 0 to the
reference's accuracy, each cost from the reference's value down to 0. It is 0 with no trial and grows
towards 1; a trial that costs more than the reference on some axis adds nothing. A front whose accuracy
exceeds the reference's can pass 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import moocore
import numpy as np
from numpy.typing import NDArray

from evaluators import CEILING
from search.trial import Trial, TrialState
from spaces import Method, Metrics, direction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from search.spec import Bound

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Front:
    """The non-dominated trials of a job.

    Attributes:
        objectives: what is traded off.
        trials: by the first minimised objective, best first; equal points are kept once, the earliest.
        hypervolume: share of the reference's box, see the module.
        knee: number of the trial where the trade-off turns, or ``None`` of an empty front.
        chosen: number of the trial to ship, or ``None`` of an empty front.
        constraint_binding: the constraint that kept the cheaper trials from being chosen, or that none meets.
        constraints_met: the chosen trial is within all constraints.
    """

    objectives: tuple[str, ...]
    trials: tuple[Trial, ...]
    hypervolume: float
    knee: int | None
    chosen: int | None
    constraint_binding: str | None
    constraints_met: bool


def find_front(
    trials: Sequence[Trial],
    objectives: Sequence[str],
    reference: Metrics,
    constraints: Mapping[str, Bound] | None = None,
    *,
    minimize: str | None = None,
    method: Method | None = None,
) -> Front:
    """The front of a job's trials.

    Only completed trials of the highest fidelity that have every objective, by one method, take part.

    Args:
        trials: of one job, in any state.
        objectives: to trade off.
        reference: metrics of the uncompressed model; without them hypervolume is 0.
        constraints: limits by metric, for the choice alone.
        minimize: what the chosen trial has least of; default the first minimised objective.
        method: of the objective that is farthest from a measurement; default whatever the first trial has.
    """
    front = _nondominated(_comparable(trials, objectives, method), objectives)
    first = minimize or next((name for name in objectives if direction(name) == "minimize"), objectives[0])
    ordered = sorted(front, key=lambda trial: (_cost(trial, first), trial.number))
    chosen, binding, met = _choose(ordered, constraints or {}, first)
    return Front(
        tuple(objectives),
        tuple(ordered),
        hypervolume(ordered, objectives, reference),
        _knee(ordered, objectives),
        chosen,
        binding,
        met,
    )


@dataclass(frozen=True, slots=True)
class Score:
    """What dominance looks at of a completed trial that has every objective.

    Attributes:
        number: of the trial.
        fidelity: at which it was scored.
        values: of the objectives, in their order.
        methods: of these values.
    """

    number: int
    fidelity: float
    values: tuple[float, ...]
    methods: tuple[str, ...]


def contenders(scores: Sequence[Score], objectives: Sequence[str]) -> list[int]:
    """Trials of which a front can consist: `find_front` finds the same among these as among all.

    With arrays in place of a `Trial` each, a hundred thousand take half a second. For each combination of
    methods they are the first trial, by whose methods others are compared, and the non-dominated ones of the
    highest fidelity that it has.

    Args:
        scores: by number.
        objectives: what is traded off.

    Returns:
        Numbers, in order; none of no scores.
    """
    signs = np.array([-1.0 if direction(name) == "maximize" else 1.0 for name in objectives])
    groups: dict[tuple[str, ...], list[Score]] = {}
    for score in scores:
        groups.setdefault(score.methods, []).append(score)
    found: set[int] = set()
    for group in groups.values():
        highest = max(score.fidelity for score in group)
        best = [score for score in group if score.fidelity == highest]
        kept = moocore.is_nondominated(signs * np.array([score.values for score in best], dtype=np.float64))
        found |= {group[0].number, *(best[index].number for index in np.flatnonzero(kept))}
    return sorted(found)


def hypervolume(trials: Sequence[Trial], objectives: Sequence[str], reference: Metrics) -> float:
    """The share of the reference's box that trials dominate; 0 with none, or without a reference."""
    if not trials or any(name not in reference for name in objectives):
        return 0.0
    points = np.array(
        [[_share(trial.value(name), name, reference) for name in objectives] for trial in trials]
    )
    inside = points[(points < 1).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=np.ones(len(objectives)))) if len(inside) else 0.0


def unbeatable(front: Front) -> list[dict[str, float]]:
    """Costs of the front's trials of the highest accuracy there is: whoever they beat cannot join it."""
    if "accuracy" not in front.objectives:
        return []
    costs = [name for name in front.objectives if direction(name) == "minimize"]
    return [
        {name: trial.value(name) for name in costs}
        for trial in front.trials
        if trial.value("accuracy") >= CEILING
    ]


def _comparable(trials: Sequence[Trial], objectives: Sequence[str], method: Method | None) -> list[Trial]:
    complete = [
        trial
        for trial in trials
        if trial.state is TrialState.COMPLETED
        and all(name in trial.metrics for name in objectives)
        and (method is None or _weakest(trial, objectives) is method)
    ]
    if not complete:
        return []
    highest = max(trial.fidelity for trial in complete)
    methods = _methods(complete[0], objectives)
    return [
        trial
        for trial in sorted(complete, key=lambda trial: trial.number)
        if trial.fidelity == highest and _methods(trial, objectives) == methods
    ]


def _methods(trial: Trial, objectives: Sequence[str]) -> tuple[Method, ...]:
    return tuple(trial.metrics[name].method for name in objectives)


def _weakest(trial: Trial, objectives: Sequence[str]) -> Method:
    """The method of the objective that is farthest from a measurement."""
    return max(_methods(trial, objectives), key=list(Method).index)


def _nondominated(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Trial]:
    if not trials:
        return []
    kept = moocore.is_nondominated(_costs(trials, objectives))
    return [trial for trial, is_kept in zip(trials, kept, strict=True) if is_kept]


def _cost(trial: Trial, objective: str) -> float:
    sign = -1.0 if direction(objective) == "maximize" else 1.0
    return sign * trial.value(objective)


def _costs(trials: Sequence[Trial], objectives: Sequence[str]) -> Floats:
    return np.array([[_cost(trial, name) for name in objectives] for trial in trials], dtype=np.float64)


def _share(value: float, objective: str, reference: Metrics) -> float:
    base = reference[objective].value
    if base <= 0:
        return 1.0
    return 1.0 - value / base if direction(objective) == "maximize" else value / base


def _knee(front: Sequence[Trial], objectives: Sequence[str]) -> int | None:
    """The trial farthest below the hyperplane through the extremes (Das 1999), scaled to its range."""
    if not front:
        return None
    costs = _costs(front, objectives)
    span = np.ptp(costs, axis=0)
    scaled = (costs - costs.min(axis=0)) / np.where(span > 0, span, 1.0)
    return front[int(np.argmin(scaled.sum(axis=1)))].number


def _choose(
    ordered: Sequence[Trial], constraints: Mapping[str, Bound], first: str
) -> tuple[int | None, str | None, bool]:
    """The cheapest trial within the constraints, else the nearest miss; and the constraint that bound."""
    if not ordered:
        return None, None, False
    excesses = [_excesses(trial, constraints) for trial in ordered]
    met = [index for index, excess in enumerate(excesses) if not any(excess.values())]
    index = met[0] if met else min(range(len(ordered)), key=lambda i: (sum(excesses[i].values()), i))
    binding = excesses[index] if not met else excesses[0]
    worst: Any = max(binding, key=binding.__getitem__, default=None)
    return ordered[index].number, worst if worst is not None and binding[worst] > 0 else None, bool(met)


def _excesses(trial: Trial, constraints: Mapping[str, Bound]) -> dict[str, float]:
    """How far each constraint is broken, as a share of its limit, so that different units compare.

    Where a policy was trained again with fresh seeds, their mean counts: the trial's own value was selected
    for being good.
    """
    found = {}
    for name, bound in constraints.items():
        if name in trial.metrics:
            limit = bound.high if bound.high is not None else bound.low
            metric = trial.metrics[name]
            honest = metric.value if metric.again is None else metric.again
            found[name] = bound.excess(honest) / max(abs(limit or 0.0), 1e-9)
        else:
            found[name] = float("inf")
    return found
