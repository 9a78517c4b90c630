"""A space of two students over plain layers, and a profile of it that nobody had to measure."""

from __future__ import annotations

from search.profile import Profile, StudentProfile
from spaces import (
    Capabilities,
    Kernel,
    LayerInfo,
    LayerInventory,
    PruneGroup,
    SearchSpace,
    SpaceRequest,
    Student,
)

INT8 = Capabilities((Kernel("*", 8, 8, "static", "int8"),), 8)


def inventory(count):
    layers = tuple(LayerInfo(f"layer{i}", "conv", (64, 64, 3, 3), 1000 * (i + 1), 100) for i in range(count))
    return LayerInventory(layers, tuple(PruneGroup(layer.name, (layer.name,), 64) for layer in layers[:-1]))


def inventories(count=6, students=True):
    return {None: inventory(count)} | (
        {Student(depth=0.5): inventory(max(count // 2, 1))} if students else {}
    )


def two_student_space(count=6, students=True):
    return SearchSpace.build(SpaceRequest(), inventories(count, students), INT8)


def measured_profile(space, slope=0.1):
    students = []
    for student in space.students:
        ratios = {
            name: tuple(slope * (at + 1) * ratio for ratio in axis.choices)
            for at, (name, axis) in enumerate(student.prune.items())
        }
        left = {
            name: tuple({name: (1 - ratio, 1 - ratio)} if ratio else {} for ratio in axis.choices)
            for name, axis in student.prune.items()
        }
        bits = {name: (0.0, 0.01 * (at + 1)) for at, name in enumerate(student.bits)}
        layers = inventory(len(student.bits)).layers
        students.append(
            StudentProfile(
                student.student, 0.1, ratios, bits, left, layers, {"bits": 4.0, "ratio": 0.25}, passes=20
            )
        )
    return Profile("sha256:key", "small", tuple(students), 6.0)
