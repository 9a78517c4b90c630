"""Which of a teacher's repeated blocks each of a student's learns from. Reads modules; runs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from torch import nn

from compression.tracing import WEIGHT_LAYERS

if TYPE_CHECKING:
    from collections.abc import Sequence

_Item = TypeVar("_Item")


def repeated_blocks(model: nn.Module) -> list[str]:
    """Paths of blocks that stand in rows: numbered modules of one class in one container, with weights."""
    return [path for row in _rows(model) for path in row]


def shares_paths(student: nn.Module, teacher: nn.Module) -> bool:
    """The student has a module wherever the teacher has a block: it is the teacher with parts taken away.

    A dropped block is still there as a module that passes its input on.
    """
    return set(repeated_blocks(teacher)) <= {path for path, _ in student.named_modules()}


def pair_blocks(student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
    """Pairs of (student's block, teacher's block), by module path.

    Blocks of a student that shares the teacher's paths learn from their own originals, or, where blocks after
    them were dropped, from the last of these: what comes next expects its output. Blocks of another
    architecture learn from evenly spaced ones. Empty if either has no repeated blocks.
    """
    if not shares_paths(student, teacher):
        return evenly(repeated_blocks(student), repeated_blocks(teacher))
    modules = dict(student.named_modules())
    pairs: dict[str, str] = {}
    for row in _rows(teacher):
        kept: str | None = None
        for path in row:
            if any(True for _ in modules[path].parameters()):
                kept = path
            if kept is not None:
                pairs[kept] = path
    return list(pairs.items())


def evenly(students: Sequence[_Item], teachers: Sequence[_Item]) -> list[tuple[_Item, _Item]]:
    """Each student's item with a teacher's, evenly spaced, the last with the last (Jiao et al. 2020, 3.1)."""
    if not teachers:
        return []
    return [
        (item, teachers[-(-(index + 1) * len(teachers) // len(students)) - 1])
        for index, item in enumerate(students)
    ]


def _rows(model: nn.Module) -> list[list[str]]:
    return [
        [f"{path}.{name}" if path else name for name in names]
        for path, container in model.named_modules()
        if isinstance(container, nn.Sequential | nn.ModuleList)
        for names in _numbered(container)
    ]


def _numbered(container: nn.Module) -> list[list[str]]:
    by_class: dict[type[nn.Module], list[str]] = {}
    for name, child in container.named_children():
        holds_weights = any(isinstance(module, WEIGHT_LAYERS) for module in child.modules())
        if holds_weights and not isinstance(child, WEIGHT_LAYERS):
            by_class.setdefault(type(child), []).append(name)
    return [names for names in by_class.values() if len(names) > 1 and all(name.isdigit() for name in names)]
