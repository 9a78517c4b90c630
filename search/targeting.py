"""A job met with its target: what that cannot run or tell is refused, what it limits is a constraint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from search.spec import Bound, Budget
from spaces import Fault, InvalidSpec, escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evaluators.targets import Target
    from search.source import Source
    from search.spec import JobSpec


def aimed(spec: JobSpec, target: Target) -> JobSpec:
    """The job with the target's limits among its constraints; of two limits of a metric, the tighter holds.

    Args:
        spec: valid in itself.
        target: that it names.

    Raises:
        InvalidSpec: a metric is asked for that the target cannot give.
        InvalidSpace: the space asks for what the target cannot run.
    """
    _check_metrics(spec, target)
    spec.space.check(target.capabilities, target.name)
    return _limited(spec, target)


def retargeted(
    spec: JobSpec,
    source: Source,
    target: Target,
    *,
    count: int,
    limits: Mapping[str, float],
    objectives: Sequence[str] | None = None,
    constraints: Mapping[str, Bound] | None = None,
) -> JobSpec:
    """The job that scores candidates of another on its own target.

    Nothing is searched, so the space need not fit the target: a candidate that does not run there is found
    to be infeasible.

    Args:
        spec: of the job that made the candidates.
        source: that job.
        target: to score them on.
        count: of candidates.
        limits: of the target that they were searched for: bounds of the hardware, which end with it.
        objectives: to trade off; those of the job where they are ``None``.
        constraints: limits by metric; those of the job, without its target's, where they are ``None``.

    Raises:
        InvalidSpec: a metric is asked for that the target cannot give, or is none.
    """
    bounds = _without(spec.constraints, limits) if constraints is None else constraints
    asked = replace(
        spec,
        target=target.name,
        objectives=spec.objectives if objectives is None else tuple(objectives),
        constraints=bounds,
        budget=Budget(count),
        anchors=(),
        source=source,
    )
    _check_metrics(asked, target)
    return _limited(asked, target)


def _check_metrics(spec: JobSpec, target: Target) -> None:
    if target.energy is not None:
        return
    detail = f"target {target.name!r} declares no energy_pj; name another metric, or declare it in its file"
    places = [f"/objectives/{index}" for index, name in enumerate(spec.objectives) if name == "energy_mj"]
    places += [f"/constraints/{escape(name)}" for name in spec.constraints if name == "energy_mj"]
    if places:
        raise InvalidSpec(Fault(place, detail) for place in places)


def _limited(spec: JobSpec, target: Target) -> JobSpec:
    constraints = dict(spec.constraints)
    for metric, limit in target.limits.items():
        asked = constraints.get(metric, Bound(high=limit))
        highest = limit if asked.high is None else min(asked.high, limit)
        if asked.low is not None and asked.low > highest:
            detail = f"no value lies between {asked.low:g} and the {limit:g} that target {target.name!r} has"
            raise InvalidSpec.at(f"/constraints/{escape(metric)}/min", detail)
        constraints[metric] = Bound(asked.low, highest)
    return replace(spec, constraints=constraints) if target.limits else spec


def _without(constraints: Mapping[str, Bound], limits: Mapping[str, float]) -> dict[str, Bound]:
    """The constraints that a user gave: what equals a limit of the former target was that target's."""
    kept = {}
    for metric, bound in constraints.items():
        high = None if bound.high == limits.get(metric) else bound.high
        if bound.low is not None or high is not None:
            kept[metric] = Bound(bound.low, high)
    return kept
