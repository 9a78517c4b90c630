"""What the guided sampler is told of a job: axes, predicted losses, costs, constraints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from search.network_costs import NetworkCosts
from search.samplers.guided.costs import LearnedCosts
from search.samplers.guided.problem import Branch, Problem, guessed_losses
from spaces import STUDENT_AXIS, direction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from search.profile import Profile, StudentProfile
    from search.samplers.guided.costs import Costs
    from search.spec import JobSpec
    from spaces import LayerInventory, Metrics, SearchSpace, Student, StudentSpace


@dataclass(frozen=True)
class Guidance:
    """What is known before the first trial; all of it may be missing.

    Attributes:
        profile: of the space, or ``None``.
        reference: metrics of the uncompressed model.
        inventories: layers of each student.
    """

    profile: Profile | None = None
    reference: Metrics = field(default_factory=dict)
    inventories: Mapping[Student | None, LayerInventory] = field(default_factory=dict)


def guided_problem(space: SearchSpace, spec: JobSpec, guidance: Guidance) -> Problem:
    """The search of a job as the guided sampler sees it.

    Accuracy is what must be evaluated, or the first objective where accuracy is none; the others are costs.
    """
    objectives = list(spec.objectives)
    uncertain = objectives.index("accuracy") if "accuracy" in objectives else 0
    costs = [name for at, name in enumerate(objectives) if at != uncertain]
    reference = {name: metric.value for name, metric in guidance.reference.items()}
    is_known = all(reference.get(name, 0.0) > 0 for name in objectives)
    profiles: Sequence[StudentProfile | None] = [None] * len(space.students)
    if guidance.profile is not None:
        profiles = guidance.profile.students
    branches = tuple(
        _branch(student, profile, costs, reference if is_known else {}, guidance)
        for student, profile in zip(space.students, profiles, strict=True)
    )
    return Problem(
        branches,
        STUDENT_AXIS,
        uncertain,
        direction(objectives[uncertain]) == "maximize",
        is_profiled=guidance.profile is not None,
        scales=tuple(reference[name] for name in costs) if is_known else None,
        best=reference["accuracy"] if is_known and objectives[uncertain] == "accuracy" else None,
        bound=_accuracy_bound(spec, reference) if objectives[uncertain] == "accuracy" else None,
        cost_bounds=tuple(_upper(spec, name) for name in costs),
    )


def _branch(
    space: StudentSpace,
    profile: StudentProfile | None,
    costs: Sequence[str],
    reference: Mapping[str, float],
    guidance: Guidance,
) -> Branch:
    axes = tuple(axis.name for axis in space.axes)
    known: Costs = LearnedCosts([len(axis.choices) for axis in space.axes], len(costs))
    inventory = guidance.inventories.get(space.student)
    if reference and costs and profile is not None:
        known = NetworkCosts(space, profile.layers, profile.left, costs, reference)
    elif reference and costs and inventory is not None:
        known = NetworkCosts(space, inventory.layers, _left_alone(space, inventory), costs, reference)
    if profile is None:
        losses = tuple(guessed_losses(len(axis.choices)) for axis in space.axes)
        return Branch(axes, losses, known)
    return Branch(axes, profile.losses(space), known, max(profile.base_loss, 1e-6), _together(space))


def _together(space: StudentSpace) -> tuple[tuple[int, ...], ...]:
    """A layer's ratio and its bits: the two multiply."""
    position = {axis.name: index for index, axis in enumerate(space.axes)}
    return tuple(
        (position[axis.name], position[space.bits[place].name])
        for place, axis in space.prune.items()
        if place in space.bits
    )


def _left_alone(
    space: StudentSpace, inventory: LayerInventory
) -> dict[str, list[dict[str, tuple[float, float]]]]:
    """What ratios leave of the layers of their own groups; layers that read them count as untouched."""
    return {
        place: [
            dict.fromkeys(inventory.group_of[place].layers, (1 - ratio, 1 - ratio)) for ratio in axis.choices
        ]
        for place, axis in space.prune.items()
        if place in inventory.group_of
    }


def _accuracy_bound(spec: JobSpec, reference: Mapping[str, float]) -> float | None:
    """The least accuracy that the constraints allow."""
    bounds = []
    accuracy, drop = spec.constraints.get("accuracy"), spec.constraints.get("accuracy_drop")
    if accuracy is not None and accuracy.low is not None:
        bounds.append(accuracy.low)
    if drop is not None and drop.high is not None and "accuracy" in reference:
        bounds.append(reference["accuracy"] - drop.high)
    return max(bounds, default=None)


def _upper(spec: JobSpec, name: str) -> float:
    bound = spec.constraints.get(name)
    return np.inf if bound is None or bound.high is None else bound.high
