"""Smaller models to start from: the reference with less of everything, or another architecture."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from compression.blocks import block_runs, remove_blocks
from compression.channels import shrink_width
from compression.dependencies import ChannelGraph
from compression.heads import head_groups, head_scores, remove_heads
from compression.importance import magnitudes
from compression.inventory import multi_head_layers
from compression.workload import HasStudents, Workload
from spaces import CompressionError, Student

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def build_student(
    workload: Workload, reference: nn.Module, student: Student | None, *, multiple: int
) -> nn.Module:
    """A fresh model for a policy's student, in eval mode.

    The family ``self`` starts from the reference's weights: depth keeps evenly spaced blocks of each run of
    repeated, shape-preserving blocks (of encoders every k-th layer: Sanh et al. 2019, DistilBERT); width
    keeps the channels and the attention heads with the largest L1 norms. Module paths stay what they are in
    the reference. Other families come from the workload and start from scratch.

    Args:
        workload: for example inputs and other families.
        reference: the trained model; not changed.
        student: ``None`` copies the reference.
        multiple: channels that remain are rounded up to it.

    Raises:
        CompressionError: the family is unknown, or the reference has no repeated blocks to drop or nothing
            that could be narrowed.
    """
    if student is None:
        return copy.deepcopy(reference).eval()
    if student.family != "self":
        return _foreign(workload, student)
    model, inputs = copy.deepcopy(reference).eval(), workload.example_inputs()
    if student.depth < 1:
        drop_blocks(model, inputs, student.depth)
    if student.width < 1:
        narrow(model, inputs, student.width, multiple=multiple)
    return model


def drop_blocks(model: nn.Module, inputs: tuple[Tensor, ...], depth: float) -> None:
    """Replaces blocks by pass-throughs, in place, until a share of each run remains.

    The blocks that stay are evenly spaced and start with the first that can be dropped. At least one block of
    each run stays.

    Args:
        model: changed in place.
        inputs: example inputs, batch first.
        depth: share of blocks kept, rounded up, ``0 < depth <= 1``.

    Raises:
        CompressionError: no run has a block to drop.
    """
    dropped: list[str] = []
    for run in block_runs(model, inputs):
        keep = max(math.ceil(depth * len(run.blocks) - 1e-9), len(run.blocks) - len(run.removable), 1)
        due = _evenly(run.removable, len(run.blocks) - keep)
        # What stands in a block that is gone already is gone too.
        dropped += [name for name in due if not any(name.startswith(f"{block}.") for block in dropped)]
    remove_blocks(model, dropped)
    if not dropped and depth < 1:
        raise CompressionError(
            f"depth {depth:g}: the model has no repeated blocks of equal shape that could be dropped"
        )


def narrow(model: nn.Module, inputs: tuple[Tensor, ...], width: float, *, multiple: int) -> None:
    """Removes the same share of all groups of channels and heads, in place, keeping the largest by L1 norm.

    Channels that a LayerNorm normalizes over stay: they are the hidden size of a transformer, where each
    channel that goes changes the scale of all others.

    Args:
        model: changed in place.
        inputs: example inputs, batch first.
        width: share kept, ``0 < width <= 1``.
        multiple: channels that remain are rounded up to it; heads are rounded up to whole ones.
    """
    groups = head_groups(model, inputs)
    heads = multi_head_layers(groups)
    hidden = _normalized_layers(model, inputs, heads)
    shrink_width(model, inputs, width, multiple=multiple, exclude=heads | hidden)
    scores = magnitudes(model, "l1")
    for group in groups:
        if group.fixed_because is None:
            count = group.units - group.kept(1 - width, multiple)
            weakest = torch.argsort(head_scores(model, group, scores), stable=True)[:count]
            remove_heads(model, group, weakest.tolist())


def _normalized_layers(model: nn.Module, inputs: tuple[Tensor, ...], heads: frozenset[str]) -> frozenset[str]:
    graph = ChannelGraph(model, inputs)
    return frozenset(
        name for names in graph.members(heads) if _reaches_layer_norm(graph, names[0]) for name in names
    )


def _reaches_layer_norm(graph: ChannelGraph, leader: str) -> bool:
    try:
        cuts = graph.cuts(leader)
    except CompressionError:  # then the group is fixed, and keeps its channels anyway
        return False
    return any(_is_layer_norm(graph.model.get_submodule(cut.parameter.rpartition(".")[0])) for cut in cuts)


def _is_layer_norm(module: nn.Module) -> bool:
    """Of torch, or of the many that models bring themselves (``LlamaRMSNorm``, ``LayerNorm2d``)."""
    is_torchs = isinstance(module, nn.LayerNorm | nn.RMSNorm)
    return is_torchs or any(kind in type(module).__name__ for kind in ("LayerNorm", "RMSNorm"))


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


def _evenly(names: Sequence[str], count: int) -> list[str]:
    """`count` of the names, evenly spaced and from the end: later blocks refine, early ones transform."""
    if count <= 0:
        return []
    step = len(names) / count
    return [names[len(names) - 1 - math.floor(index * step)] for index in range(count)]
