"""A job met with its target: what that cannot run or tell is refused, what it limits is a constraint."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from search.spec import Bound
from spaces import Fault, InvalidSpec, escape

if TYPE_CHECKING:
    from evaluators.targets import Target
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
    if target.energy is None:
        detail = (
            f"target {target.name!r} declares no energy_pj; name another metric, or declare it in its file"
        )
        places = [f"/objectives/{index}" for index, name in enumerate(spec.objectives) if name == "energy_mj"]
        places += [f"/constraints/{escape(name)}" for name in spec.constraints if name == "energy_mj"]
        if places:
            raise InvalidSpec(Fault(place, detail) for place in places)
    spec.space.check(target.capabilities, target.name)
    if not target.limits:
        return spec
    constraints = dict(spec.constraints)
    for metric, limit in target.limits.items():
        asked = constraints.get(metric, Bound(high=limit))
        highest = limit if asked.high is None else min(asked.high, limit)
        if asked.low is not None and asked.low > highest:
            detail = f"no value lies between {asked.low:g} and the {limit:g} that target {target.name!r} has"
            raise InvalidSpec.at(f"/constraints/{escape(metric)}/min", detail)
        constraints[metric] = Bound(asked.low, highest)
    return replace(spec, constraints=constraints)
