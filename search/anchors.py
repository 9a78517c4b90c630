"""Policies that come first in every search: those that the user gives, then a few uniform ones."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Final

from spaces import STUDENT_AXIS, Axis, Bits, InvalidSpace, Point, Policy, SearchSpace, StudentSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST: Final = 8
RATIOS: Final = (0.0, 0.5, 0.25, 0.75, 0.875)


def given_anchors(space: SearchSpace, policies: Sequence[Policy]) -> list[Point]:
    """The points of policies that a user gives, without repetition, in their order.

    A policy that says nothing of recovery, as those imported from other tools, takes the first training
    that the space offers.

    Args:
        space: of the job.
        policies: of `JobSpec.anchors`.

    Raises:
        InvalidSpace: a policy is not in the space; the pointer says which.
    """
    found: dict[str, Point] = {}
    for index, policy in enumerate(policies):
        try:
            point = space.point(_trained(space, policy))
        except InvalidSpace as error:
            detail = f"{error.faults[0].detail}; name its bits and ratios in 'space', or leave it out"
            raise InvalidSpace.at(f"/anchors/{index}", detail) from None
        found.setdefault(space.policy(point).digest, point)
    return list(found.values())


def _trained(space: SearchSpace, policy: Policy) -> Policy:
    student = next((part for part in space.students if part.student == policy.student), None)
    if student is None or policy.recovery in student.recovery.choices or policy.recovery is not None:
        return policy
    return Policy(policy.student, policy.layers, student.recovery.choices[0])


def anchors(space: SearchSpace, budget: int) -> list[Point]:
    """The uniform points of a space, most telling first, without repetition.

    For each student: every bit-width for all layers, crossed with ratios for all groups (none, half, a
    quarter, three quarters), each axis at its nearest choice. The reference as it is comes last, being
    known already.

    Args:
        space: to span.
        budget: trials of the job; at most a third of them, and at most eight, are anchors, but at least one.
    """
    found: dict[str, Point] = {}
    for ratio, (index, student) in product(RATIOS, list(enumerate(space.students))):
        for bits in _levels(student):
            point = space.decide(_uniform(index, ratio, bits))
            found.setdefault(space.policy(point).digest, point)
    untouched = space.policy(space.decide(lambda axis: 0)).digest
    if untouched in found and len(found) > 1:
        found[untouched] = found.pop(untouched)
    return list(found.values())[: max(1, min(MOST, budget // 3))]


def _levels(student: StudentSpace) -> list[Bits]:
    """The bit-widths that some layer offers, from severe to mild."""
    offered = {bits for axis in student.bits.values() for bits in axis.choices} or {Bits()}
    return sorted(offered, key=lambda bits: bits.severity, reverse=True)


def _uniform(student: int, ratio: float, bits: Bits) -> Callable[[Axis], int]:
    def choose(axis: Axis) -> int:
        first = axis.choices[0]
        if isinstance(first, Bits):
            return axis.choices.index(bits) if bits in axis.choices else 0
        if isinstance(first, float):
            return min(range(len(axis.choices)), key=lambda index: abs(axis.choices[index] - ratio))
        return student if axis.name == STUDENT_AXIS else 0

    return choose
