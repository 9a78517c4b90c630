"""The search space of one job: what is asked for, met with the model's layers and the target's kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from spaces.defaults import defaults_for, with_defaults
from spaces.errors import Fault, InvalidSpace
from spaces.inventory import BlockRun, LayerInfo, LayerInventory, PruneGroup, kept_channels
from spaces.policy import LayerPolicy, Policy, Student
from spaces.prune import Criterion, Prune, n_of_m
from spaces.request import (
    DEFAULT_BITS,
    DEFAULT_RECOVERY,
    ENCODER_RECOVERY,
    Bits,
    SpaceRequest,
    rule_pointer,
)

if TYPE_CHECKING:
    from spaces.capabilities import Capabilities
    from spaces.recovery import Recovery

Point = Mapping[str, int]
"""A policy's coordinates: the index of the choice on each axis, from mild (0) to severe."""

STUDENT_AXIS: Final = "student"

SPARSE_OPS: Final = frozenset({"conv", "linear"})
"""Layers whose single weights may be searched: of matrices, as targets that skip zeros have them."""


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
        prune: ratio axis by the leader of its group, or the container of its blocks.
        granularity: what a ratio removes, by the same names.
        bits: bit-width axis by layer.
        recovery: the axis of trainings.
    """

    student: Student | None
    prune: Mapping[str, Axis]
    granularity: Mapping[str, str]
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

        A choice that changes nothing (a ratio that rounding undoes), that is there twice, or that the target
        has no kernel for is left out, layer by layer. Layers whose channels are coupled take the ratios that
        the exceptions for all of them share.

        Args:
            request: what the user asks for.
            inventories: the layers of every student to be searched, in order.
            capabilities: of the target.

        Raises:
            InvalidSpace: an exception cannot hold for any layer of any student, exceptions contradict each
                other, or a single policy remains. Pointers begin with ``/space``.
        """
        faults = tuple(_idle_rules(request, inventories, capabilities))
        if faults:
            raise InvalidSpace(faults)
        offered = with_defaults(request, capabilities)
        students = tuple(
            _student_space(index, student, inventory, offered, capabilities)
            for index, (student, inventory) in enumerate(inventories.items())
        )
        space = cls(students, request.criterion)
        if space.size <= 1:
            detail = (
                "leaves a single policy on this model and target; widen a list, or there is nothing to search"
            )
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
                granularity = space.granularity[leader]
                parts.setdefault(leader, {})["prune"] = Prune(ratio, granularity, self.criterion)
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
    prune, granularity = {}, {}
    for name, unit, ratios in _prunable(inventory, request, capabilities.channel_multiple):
        if name not in prune and (len(ratios) > 1 or ratios[0] > 0):
            prune[name], granularity[name] = Axis(f"{index}/prune:{name}", ratios), unit
    bits = {}
    for layer in inventory.layers:
        rule = request.rule_for(layer.name)
        offered = (Bits(),) if rule.keep else rule.bits or _bits(inventory, request, capabilities)
        runnable = [option for option in set(offered) if _runs(option, layer.op, capabilities)] or [Bits()]
        if runnable != [Bits()]:
            choices = tuple(sorted(runnable, key=lambda option: option.severity))
            bits[layer.name] = Axis(f"{index}/bits:{layer.name}", choices)
    recovery = Axis(f"{index}/recovery", tuple(dict.fromkeys(_recovery(inventory, request))))
    return StudentSpace(student, prune, granularity, bits, recovery)


def _bits(inventory: LayerInventory, request: SpaceRequest, capabilities: Capabilities) -> tuple[Bits, ...]:
    if request.bits != DEFAULT_BITS:
        return request.bits
    defaults = defaults_for(capabilities, request.hint)
    return defaults.bits if inventory.is_convolutional else defaults.encoder_bits


def _recovery(inventory: LayerInventory, request: SpaceRequest) -> tuple[Recovery | None, ...]:
    is_default = request.recovery == DEFAULT_RECOVERY
    return ENCODER_RECOVERY if is_default and not inventory.is_convolutional else request.recovery


def _prunable(
    inventory: LayerInventory, request: SpaceRequest, multiple: int
) -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """Where a ratio may stand, what it removes, and its choices; a place takes the first that it is given."""
    for group in inventory.groups:
        if group.granularity in request.granularities:
            yield group.leader, group.granularity, _ratios(group, request, multiple)
    if "layer" in request.granularities:
        for run in inventory.runs:
            yield run.container, "layer", _block_ratios(run, request)
    for granularity in request.granularities:
        if granularity == "weight" or n_of_m(granularity):
            for layer in inventory.layers:
                yield layer.name, granularity, _zero_ratios(layer, granularity, request)


def _ratios(group: PruneGroup, request: SpaceRequest, multiple: int) -> tuple[float, ...]:
    if group.fixed_because is not None or any(request.rule_for(layer).keep for layer in group.layers):
        return (0.0,)
    offered = _offered_ratios(group, request)
    return _distinct(offered, lambda ratio: group.kept(ratio, multiple), group.units)


def _block_ratios(run: BlockRun, request: SpaceRequest) -> tuple[float, ...]:
    count, rule = len(run.blocks), request.rule_for(run.container)
    if rule.keep:
        return (0.0,)
    offered = {
        ratio
        for ratio in rule.ratios or request.ratios
        if count - kept_channels(count, ratio) <= len(run.removable)
    } or {0.0}
    return _distinct(offered, lambda ratio: kept_channels(count, ratio), count)


def _zero_ratios(layer: LayerInfo, granularity: str, request: SpaceRequest) -> tuple[float, ...]:
    """Shares of a layer's single weights that may go: of a pattern that fits its rows, all or none."""
    pattern, rule = n_of_m(granularity), request.rule_for(layer.name)
    if rule.keep or layer.op not in SPARSE_OPS:
        return (0.0,)
    if pattern is None:
        return tuple(sorted(set(rule.ratios or request.ratios)))
    n, m = pattern
    return (0.0, 1 - n / m) if math.prod(layer.weight_shape[1:]) % m == 0 else (0.0,)


def _distinct(ratios: set[float], kept: Callable[[float], int], whole: int) -> tuple[float, ...]:
    """The mildest ratio for each number of units that remains; 0 where that is all of them."""
    by_kept: dict[int, float] = {}
    for ratio in sorted(ratios):
        by_kept.setdefault(kept(ratio), 0.0 if kept(ratio) == whole else ratio)
    return tuple(sorted(by_kept.values()))


def _offered_ratios(group: PruneGroup, request: SpaceRequest) -> set[float]:
    shared: set[float] | None = None
    for layer in group.layers:
        glob = request.glob_for(layer)
        ratios = None if glob is None else request.layers[glob].ratios
        if glob is None or ratios is None:
            continue
        shared = set(ratios) if shared is None else shared & set(ratios)
        if not shared:
            detail = f"{layer!r} is coupled to {group.leader!r}, and their exceptions share no ratio"
            raise InvalidSpace.at(f"{rule_pointer(glob)}/prune/ratios", detail)
    return set(request.ratios) if shared is None else shared


def _idle_rules(
    request: SpaceRequest, inventories: Mapping[Student | None, LayerInventory], capabilities: Capabilities
) -> Iterator[Fault]:
    """Exceptions that hold for no layer at all: passing over them would not be what the user wrote."""
    layers = [(inventory, layer) for inventory in inventories.values() for layer in inventory.layers]
    for glob, rule in request.layers.items():
        where = rule_pointer(glob)
        reached = [(inventory, layer) for inventory, layer in layers if request.glob_for(layer.name) == glob]
        if not reached:
            yield Fault(where, _why_idle(glob, list(dict.fromkeys(layer.name for _, layer in layers))))
            continue
        ops = {layer.op for _, layer in reached}
        if rule.bits and not any(_runs(option, op, capabilities) for option in rule.bits for op in ops):
            runs = capabilities.describe()
            yield Fault(
                f"{where}/bits", f"none runs as {', '.join(sorted(ops))} on this target; it runs {runs}"
            )
        fixed = {_why_fixed(inventory, layer.name) for inventory, layer in reached}
        if rule.ratios and min(rule.ratios) > 0 and None not in fixed:
            reasons = "; ".join(sorted(map(str, fixed)))
            yield Fault(f"{where}/prune/ratios", f"no layer here can be pruned: {reasons}")


def _why_idle(glob: str, names: list[str]) -> str:
    if any(fnmatchcase(name, glob) for name in names):
        return "is never reached: an exception above it matches the same layers, and the first holds"
    return f"matches no layer of the model; its layers are: {', '.join(names)}"


def _why_fixed(inventory: LayerInventory, layer: str) -> str | None:
    group = inventory.group_of.get(layer)
    return "it is in no channel group" if group is None else group.fixed_because


def _runs(option: Bits, op: str, capabilities: Capabilities) -> bool:
    return option.is_float or capabilities.kernel_for(op, *option.formats) is not None


def _index(point: Point, axis: Axis) -> int:
    index = point.get(axis.name)
    if index is None or not 0 <= index < len(axis.choices):
        detail = f"axis {axis.name!r} needs an index below {len(axis.choices)}, not {index!r}"
        raise InvalidSpace.at("", detail)
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
