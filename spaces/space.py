"""The search space of one job: the choices asked for, met with the model's layers and what the target runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final

from spaces.capabilities import Capabilities
from spaces.errors import Fault, InvalidSpace
from spaces.inventory import ChannelGroup, LayerInventory, kept_channels
from spaces.policy import Criterion, LayerPolicy, Policy, Prune, Recovery, Student
from spaces.reading import escape
from spaces.request import Bits, SpaceRequest

Point = Mapping[str, int]
"""A policy's coordinates: the index of the choice on each axis, from mild (0) to severe."""

STUDENT_AXIS: Final = "student"


@dataclass(frozen=True, slots=True)
class Axis:
    """One decision with its choices, ordered from mild to severe.

    Attributes:
        name: unique in the space, such as ``0/prune:stem.conv``.
        choices: at least one.
    """

    name: str
    choices: tuple[Any, ...]


@dataclass(frozen=True)
class StudentSpace:
    """The axes of one student: what can be decided depends on the layers it has.

    Attributes:
        student: ``None`` is the reference itself.
        prune: ratio axis by the leader of its group.
        bits: bit-width axis by layer.
        recovery: the axis of trainings.
    """

    student: Student | None
    prune: Mapping[str, Axis]
    bits: Mapping[str, Axis]
    recovery: Axis

    @property
    def axes(self) -> tuple[Axis, ...]:
        """All axes, in a stable order."""
        return (*self.prune.values(), *self.bits.values(), self.recovery)

    @property
    def size(self) -> int:
        """Number of policies."""
        return math.prod(len(axis.choices) for axis in self.axes)


@dataclass(frozen=True)
class SearchSpace:
    """All policies of a job.

    Attributes:
        students: one `StudentSpace` for each model to start from.
        criterion: how the least important channels are found.
    """

    students: tuple[StudentSpace, ...]
    criterion: Criterion = "l1"

    @property
    def size(self) -> int:
        """Number of policies, exactly."""
        return sum(student.size for student in self.students)

    @cached_property
    def student_axis(self) -> Axis:
        """The decision that comes first, since the others depend on it."""
        return Axis(STUDENT_AXIS, tuple(space.student for space in self.students))

    @classmethod
    def build(
        cls,
        request: SpaceRequest,
        inventories: Mapping[Student | None, LayerInventory],
        capabilities: Capabilities,
    ) -> SearchSpace:
        """Meets a request with the layers of each student and the kernels of a target.

        A choice that changes nothing (a ratio that rounding undoes) or that the target has no kernel for is left
        out, layer by layer.

        Args:
            request: what the user asks for.
            inventories: the layers of every student to be searched, in order.
            capabilities: of the target.

        Raises:
            InvalidSpace: a glob matches no layer of any student, or a single policy remains.
        """
        names = [name for inventory in inventories.values() for name in inventory.by_name]
        faults = [
            Fault(f"/space/layers/{escape(glob)}", "matches no layer of the model; its layers are: " + ", ".join(names))
            for glob in request.layers
            if not any(fnmatchcase(name, glob) for name in names)
        ]
        if faults:
            raise InvalidSpace(faults)
        students = tuple(
            _student_space(index, student, inventory, request, capabilities)
            for index, (student, inventory) in enumerate(inventories.items())
        )
        space = cls(students, request.criterion)
        if space.size <= 1:
            detail = "leaves a single policy on this model and target, so there is nothing to search; widen a list"
            raise InvalidSpace.at("/space", detail)
        return space

    def decide(self, choose: Callable[[Axis], int]) -> Point:
        """The point that a chooser picks, asked axis by axis: the student first, then what it has.

        Args:
            choose: returns an index into the axis's choices.
        """
        point = {STUDENT_AXIS: choose(self.student_axis)}
        for axis in self.students[point[STUDENT_AXIS]].axes:
            point[axis.name] = choose(axis)
        return point

    def policy(self, point: Point) -> Policy:
        """The policy at a point.

        Raises:
            InvalidSpace: the point lacks an axis, or an index is out of range.
        """
        space = self.students[_index(point, self.student_axis)]
        parts: dict[str, dict[str, Any]] = {}
        for leader, axis in space.prune.items():
            ratio = axis.choices[_index(point, axis)]
            if ratio > 0:
                parts.setdefault(leader, {})["prune"] = Prune(ratio, criterion=self.criterion)
        for layer, axis in space.bits.items():
            bits: Bits = axis.choices[_index(point, axis)]
            if not bits.is_float:
                weight, activation = bits.formats
                parts.setdefault(layer, {}).update(weight=weight, activation=activation)
        recovery: Recovery | None = space.recovery.choices[_index(point, space.recovery)]
        return Policy(space.student, {name: LayerPolicy(**part) for name, part in parts.items()}, recovery)

    def point(self, policy: Policy) -> Point:
        """The coordinates of a policy; the inverse of `policy`.

        Raises:
            InvalidSpace: the policy is not in the space.
        """
        for index, space in enumerate(self.students):
            if space.student == policy.student:
                point = {STUDENT_AXIS: index} | _coordinates(space, policy)
                if self.policy(point) == policy:
                    return point
        raise InvalidSpace.at("", f"policy {policy.digest} is not in the search space")


def _student_space(
    index: int,
    student: Student | None,
    inventory: LayerInventory,
    request: SpaceRequest,
    capabilities: Capabilities,
) -> StudentSpace:
    prune = {}
    for group in inventory.groups:
        ratios = _ratios(group, request, capabilities.channel_multiple)
        if len(ratios) > 1 or ratios[0] > 0:
            prune[group.leader] = Axis(f"{index}/prune:{group.leader}", ratios)
    bits = {}
    for layer in inventory.layers:
        rule = request.rule_for(layer.name)
        offered = (Bits(),) if rule.keep else rule.bits or request.bits
        runnable = tuple(option for option in offered if _runs(option, layer.op, capabilities)) or (Bits(),)
        if len(runnable) > 1 or not runnable[0].is_float:
            bits[layer.name] = Axis(f"{index}/bits:{layer.name}", runnable)
    return StudentSpace(student, prune, bits, Axis(f"{index}/recovery", request.recovery))


def _ratios(group: ChannelGroup, request: SpaceRequest, multiple: int) -> tuple[float, ...]:
    rules = [request.rule_for(layer) for layer in group.layers]
    if group.fixed_because is not None or any(rule.keep for rule in rules):
        return (0.0,)
    offered = request.rule_for(group.leader).ratios or request.ratios
    by_kept: dict[int, float] = {}
    for ratio in offered:
        kept = kept_channels(group.channels, ratio, multiple)
        by_kept.setdefault(kept, 0.0 if kept == group.channels else ratio)
    return tuple(sorted(by_kept.values()))


def _runs(option: Bits, op: str, capabilities: Capabilities) -> bool:
    return option.is_float or capabilities.kernel_for(op, *option.formats) is not None


def _index(point: Point, axis: Axis) -> int:
    index = point.get(axis.name)
    if index is None or not 0 <= index < len(axis.choices):
        raise InvalidSpace.at("", f"axis {axis.name!r} needs an index below {len(axis.choices)}, not {index!r}")
    return index


def _coordinates(space: StudentSpace, policy: Policy) -> dict[str, int]:
    point = {}
    for leader, axis in space.prune.items():
        prune = policy.layers.get(leader, LayerPolicy()).prune
        point[axis.name] = _position(axis, 0.0 if prune is None else prune.ratio)
    for name, axis in space.bits.items():
        layer = policy.layers.get(name, LayerPolicy())
        bits = Bits()
        if layer.weight is not None and layer.activation is not None:
            bits = Bits(layer.weight.bits, layer.activation.bits, layer.activation.mode)
        point[axis.name] = _position(axis, bits)
    point[space.recovery.name] = _position(space.recovery, policy.recovery)
    return point


def _position(axis: Axis, choice: Any) -> int:
    if choice not in axis.choices:
        raise InvalidSpace.at("", f"axis {axis.name!r} has no choice {choice!r}")
    return axis.choices.index(choice)
