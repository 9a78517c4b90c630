"""Attention heads: groups of layers that lose them together, scores, and their removal for real.

A head's rows go from query, key and value, its columns from the output projection. That is the same as
zeroing those columns (Michel et al. 2019, whose mask stands at the same place), and is verified so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import torch
from torch import Tensor, nn

from compression.attention import Projections, find_attention
from compression.head_trial import difference_of_removal
from spaces import CompressionError, PruneGroup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Layout = Literal["separate", "qkv-major", "head-major"]
"""How rows are ordered: a head's together in each of three layers; in one layer, queries, keys and values of
all heads after each other; or the three of each head after each other."""

_COUNTS: Final = (
    "num_attention_heads",
    "num_heads",
    "n_heads",
    "n_head",
    "nhead",
    "heads",
    "h",
    "num_key_value_heads",
    "num_kv_heads",
)
_WIDTHS: Final = ("all_head_size", "inner_dim", "attn_dim", "attention_dim")
_HIDDEN_WIDTHS: Final = ("embed_dim", "dim", "hidden_size", "hidden_dim", "d_model", "n_embd")
"""Some modules reshape the heads' outputs by these, others their inputs: tried second."""


@dataclass(frozen=True, slots=True)
class HeadGroup(PruneGroup):
    """A group of attention heads, with what their removal needs to know.

    Attributes:
        owner: module path of what counts the heads.
        output: the layer whose inputs are the heads' outputs.
        head_size: rows of a head in each of queries, keys and values.
        layout: order of the rows.
        counts: attributes of the owner that count heads.
        widths: attributes of the owner that are heads x head size.
    """

    owner: str = ""
    output: str = ""
    head_size: int = 0
    layout: Layout = "separate"
    counts: tuple[str, ...] = ()
    widths: tuple[str, ...] = ()

    @property
    def plain(self) -> PruneGroup:
        """What an inventory keeps of it."""
        return PruneGroup(self.leader, self.layers, self.units, self.fixed_because, self.granularity)


def head_groups(model: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[HeadGroup, ...]:
    """The heads of every attention of a model, with the reason for each that must stay.

    Every other head is removed on trial, with random weights and inputs: the output projection must give what
    it gives with these heads' columns zeroed. Where the model fails or differs, the group is fixed.

    Args:
        model: as it was, to the bit and the object, when this returns; no other thread may use it meanwhile.
        inputs: example inputs, batch first.

    Returns:
        Groups in execution order. Of attention whose number of heads is not known, one of a single unit,
        fixed. The layers of a ``torch.nn.MultiheadAttention`` are itself, which is no layer of an inventory.
    """
    return tuple(_verified(model, inputs, found) for found in find_attention(model, inputs))


def remove_heads(model: nn.Module, group: PruneGroup, heads: Sequence[int]) -> None:
    """Removes attention heads, in place: rows, columns, and the attributes that count them.

    Args:
        model: changed in place; its parameters keep their names.
        group: of `head_groups`, of this model or of what it was before it lost heads.
        heads: as the model counts them at present, in any order; none does nothing.

    Raises:
        CompressionError: the group is fixed or not of `head_groups`, a head does not exist, or none would
            stay.
    """
    gone = sorted(set(heads))
    if not gone:
        return
    known = _known(group)
    present = present_heads(model, known)
    if gone[0] < 0 or gone[-1] >= present:
        raise CompressionError(f"{group.leader!r} has heads 0 to {present - 1}, and {gone} name others")
    if len(gone) == present:
        raise CompressionError(f"{group.leader!r} has {present} heads and cannot lose all of them; keep one")
    kept = [head for head in range(present) if head not in gone]
    _keep(model, known, present, kept)


def head_scores(model: nn.Module, group: PruneGroup, saliency: Mapping[str, Tensor]) -> Tensor:
    """One score for each head: the sum of the element scores of all that goes with it.

    Args:
        model: that the scores are of.
        group: of `head_groups`.
        saliency: element scores by parameter name, in the parameters' shapes.

    Returns:
        ``heads`` scores, float64, as the model counts them at present. For the criterion ``taylor`` they have
        a sign, and their magnitude ranks.

    Raises:
        CompressionError: a layer of the group has no scores, or the group is fixed.
    """
    known = _known(group)
    heads = present_heads(model, known)
    total = torch.zeros(heads, dtype=torch.float64)
    for name in (*known.layers, known.output):
        scores = saliency.get(f"{name}.weight")
        if scores is None:
            raise CompressionError(f"the criterion gives the weights of {name!r} no scores; use another")
        layout = "separate" if name == known.output else known.layout
        units = scores.T if name == known.output else scores
        total += units[_rows(layout, heads, known.head_size)].to("cpu", torch.float64).flatten(1).sum(1)
    return total


def present_heads(model: nn.Module, group: PruneGroup) -> int:
    """Heads that a model has of a group at present; raises `CompressionError` for a group that is fixed."""
    known = _known(group)
    output: Any = model.get_submodule(known.output)
    return int(output.in_features) // known.head_size


def _verified(model: nn.Module, inputs: tuple[Tensor, ...], found: Projections) -> HeadGroup:
    owner = vars(model.get_submodule(found.owner))
    group = HeadGroup(
        found.layers[0],
        found.layers,
        found.heads,
        found.unreadable_because,
        "head",
        owner=found.owner,
        output=found.output,
        head_size=found.head_size,
        counts=tuple(name for name in _COUNTS if owner.get(name) == found.heads),
        widths=tuple(name for name in _WIDTHS if owner.get(name) == found.heads * found.head_size),
    )
    if group.fixed_because is not None:
        return group
    hidden = tuple(name for name in _HIDDEN_WIDTHS if owner.get(name) == found.heads * found.head_size)
    layouts: tuple[Layout, ...] = ("separate",) if len(found.layers) > 1 else ("qkv-major", "head-major")
    reasons = []
    for widths in (group.widths, (*group.widths, *hidden))[: 2 if hidden else 1]:
        for layout in layouts:
            trial = replace(group, layout=layout, widths=widths)
            reason = _why_unlike(model, inputs, trial)
            if reason is None:
                return trial
            reasons.append(reason)
    return replace(group, fixed_because=reasons[0])


def _why_unlike(model: nn.Module, inputs: tuple[Tensor, ...], group: HeadGroup) -> str | None:
    kept = list(range(1, group.units, 2))
    columns = _rows("separate", group.units, group.head_size)[::2].flatten()
    return difference_of_removal(
        model,
        inputs,
        layers=group.layers,
        output=group.output,
        owner=group.owner,
        columns=columns,
        remove=lambda: _keep(model, group, group.units, kept),
    )


def _keep(model: nn.Module, group: HeadGroup, present: int, kept: list[int]) -> None:
    """Leaves only some of the present heads."""
    rows = _rows(group.layout, present, group.head_size)[kept]
    # Where the layer is fused head by head its rows stay sorted; otherwise queries must stay before keys.
    rows = rows.flatten().sort().values
    for name in group.layers:
        linear: Any = model.get_submodule(name)
        _cut(linear, "weight", 0, rows)
        _cut(linear, "bias", 0, rows)
        linear.out_features = len(rows)
    columns = _rows("separate", present, group.head_size)[kept].flatten()
    output: Any = model.get_submodule(group.output)
    _cut(output, "weight", 1, columns)
    output.in_features = len(columns)
    owner = model.get_submodule(group.owner)
    for name in group.counts:
        setattr(owner, name, len(kept))
    for name in group.widths:
        setattr(owner, name, len(columns))


def _cut(linear: nn.Linear, name: str, dim: int, indices: Tensor) -> None:
    parameter = getattr(linear, name)
    if parameter is None:
        return
    left = parameter.detach().index_select(dim, indices.to(parameter.device)).clone()
    setattr(linear, name, nn.Parameter(left, requires_grad=parameter.requires_grad))


def _rows(layout: Layout, heads: int, size: int) -> Tensor:
    """The rows of each head, heads x rows."""
    if layout == "separate":
        return torch.arange(heads * size).reshape(heads, size)
    if layout == "head-major":
        return torch.arange(heads * 3 * size).reshape(heads, 3 * size)
    return torch.arange(3 * heads * size).reshape(3, heads, size).transpose(0, 1).flatten(1)


def _known(group: PruneGroup) -> HeadGroup:
    if not isinstance(group, HeadGroup):
        raise CompressionError(f"the group of {group.leader!r} has no heads; take it from head_groups")
    if group.fixed_because is not None:
        raise CompressionError(f"the heads of {group.leader!r} cannot be removed: {group.fixed_because}")
    return group
