"""Smaller models to start from: the reference with fewer blocks and channels, or another architecture."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

from torch import Tensor, nn

from compression.channels import shrink_width
from compression.tracing import WEIGHT_LAYERS, Call, trace
from compression.workload import HasStudents, Workload
from spaces import CompressionError, Student

if TYPE_CHECKING:
    from collections.abc import Callable


def build_student(
    workload: Workload, reference: nn.Module, student: Student | None, *, multiple: int
) -> nn.Module:
    """A fresh model for a policy's student, in eval mode.

    The family ``self`` starts from the reference's weights: depth keeps evenly spaced blocks of each run of
    repeated, shape-preserving blocks; width keeps the channels with the largest L1 norms. Module paths
    stay what they are in the reference. Other families come from the workload and start from scratch.

    Args:
        workload: for example inputs and other families.
        reference: the trained model; not changed.
        student: ``None`` copies the reference.
        multiple: channels that remain are rounded up to it.

    Raises:
        CompressionError: the family is unknown, or the reference has no repeated blocks to drop.
    """
    if student is None:
        return copy.deepcopy(reference).eval()
    if student.family != "self":
        return _foreign(workload, student)
    model, inputs = copy.deepcopy(reference).eval(), workload.example_inputs()
    if student.depth < 1:
        drop_blocks(model, inputs, student.depth)
    if student.width < 1:
        shrink_width(model, inputs, student.width, multiple=multiple)
    return model


def drop_blocks(model: nn.Module, inputs: tuple[Tensor, ...], depth: float) -> None:
    """Replaces blocks by the identity, in place, until a share of each run remains.

    A run is the children of one container that are of the same class and hold weights. A block can be
    dropped if it maps one tensor to one of the same shape. At least one block of each run stays.

    Args:
        model: changed in place.
        inputs: example inputs, batch first.
        depth: share of blocks kept, rounded up, ``0 < depth <= 1``.

    Raises:
        CompressionError: no run has a block to drop.
    """
    calls = {
        call.name: call for call in trace(model, inputs, lambda module: not isinstance(module, WEIGHT_LAYERS))
    }
    dropped = 0
    for path, container in list(model.named_modules()):
        if not isinstance(container, nn.Sequential | nn.ModuleList):
            continue
        for names in _runs(container):
            spare = [
                name for name in names if _preserves_shape(calls.get(f"{path}.{name}" if path else name))
            ]
            keep = max(math.ceil(depth * len(names)), len(names) - len(spare), 1)
            for name in _evenly(spare, len(names) - keep):
                container[int(name)] = nn.Identity()
                dropped += 1
    if not dropped:
        raise CompressionError(
            f"depth {depth:g}: the model has no repeated blocks of equal shape that could be dropped"
        )


def _foreign(workload: Workload, student: Student) -> nn.Module:
    families: dict[str, Callable[[float, float], nn.Module]] = {}
    if isinstance(workload, HasStudents):
        families = dict(workload.students())
    if student.family not in families:
        known = ", ".join(["self", *families])
        raise CompressionError(
            f"workload {workload.name!r} has no student family {student.family!r}; it has: {known}"
        )
    return families[student.family](student.depth, student.width).eval()


def _runs(container: nn.Sequential | nn.ModuleList) -> list[list[str]]:
    by_class: dict[type[nn.Module], list[str]] = {}
    for name, child in container.named_children():
        holds_weights = any(isinstance(module, WEIGHT_LAYERS) for module in child.modules())
        if holds_weights and not isinstance(child, WEIGHT_LAYERS):
            by_class.setdefault(type(child), []).append(name)
    return [names for names in by_class.values() if len(names) > 1 and all(name.isdigit() for name in names)]


def _preserves_shape(call: Call | None) -> bool:
    return call is not None and call.input_shape is not None and call.input_shape == call.output_shape


def _evenly(names: list[str], count: int) -> list[str]:
    """`count` of the names, evenly spaced and from the end: later blocks refine, early ones transform."""
    if count <= 0:
        return []
    step = len(names) / count
    return [names[len(names) - 1 - math.floor(index * step)] for index in range(count)]
