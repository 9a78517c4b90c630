"""Which single weights stay: masks by ratio, by pattern n:m and by threshold. Shapes never change here."""

from __future__ import annotations

import math
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence


def removed_count(units: int, ratio: float) -> int:
    """How many of some units a ratio removes: rounded down, exact for decimal ratios such as 0.29 of 100."""
    return math.floor(units * ratio + 1e-9)


def ratio_masks(scores: Sequence[Tensor], ratio: float) -> list[Tensor]:
    """Masks that remove a layer's least scores; ties go to the earlier element.

    Args:
        scores: of each of the layer's weight tensors, in any shapes; all are ranked together.
        ratio: share removed, ``0 <= ratio < 1``.

    Returns:
        A boolean tensor for each, true where the weight stays; exactly ``floor(ratio * elements)`` are false.
    """
    flat = torch.cat([part.flatten() for part in scores])
    mask = torch.ones(flat.numel(), dtype=torch.bool)
    mask[torch.argsort(flat, stable=True)[: removed_count(flat.numel(), ratio)]] = False
    parts = torch.split(mask, [part.numel() for part in scores])
    return [part.reshape(score.shape) for part, score in zip(parts, scores, strict=True)]


def pattern_mask(scores: Tensor, n: int, m: int) -> Tensor:
    """Keeps the n largest scores of every m consecutive ones of a row; ties go to the later element.

    A row is what one output reads, in storage order: ``inputs`` of a linear layer, ``inputs x kernel`` of a
    convolution, as NVIDIA's 2:4 has it for matrices (Mishra et al. 2021).

    Args:
        scores: ``rows x ...``, at least two dimensions.
        n: how many of each m stay, from 0 to m.
        m: divides a row's length; of a row that it does not divide, the last elements stay.

    Returns:
        A boolean tensor of the same shape, true where the weight stays.
    """
    rows = scores.flatten(1)
    whole = rows.shape[1] // m * m
    blocks = rows[:, :whole].reshape(rows.shape[0], -1, m)
    mask = torch.ones_like(rows, dtype=torch.bool)
    least = torch.argsort(blocks, dim=-1, stable=True)[..., : m - n]
    mask[:, :whole] = (
        torch.ones_like(blocks, dtype=torch.bool)
        .scatter(-1, least, value=False)
        .reshape(rows.shape[0], whole)
    )
    return mask.reshape(scores.shape)


def row_length(weight: Tensor) -> int:
    """Weights that one output reads, which a pattern n:m must divide."""
    return math.prod(weight.shape[1:])


def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Sets the weights that masks remove to exactly zero, in place.

    Args:
        model: changed in place.
        masks: by parameter name, true where the weight stays.
    """
    with torch.no_grad():
        for name, mask in masks.items():
            weight = model.get_parameter(name)
            weight.masked_fill_(~mask.to(weight.device), 0.0)


@contextmanager
def carried(model: nn.Module, masks: MutableMapping[str, Tensor]) -> Iterator[None]:
    """Keeps masks in step with weights while tensors' rows and columns are removed.

    Removed weights are NaN inside the context, so that whatever slices the weights slices the masks with
    them; no forward pass may run there. Masks of parameters that are gone are dropped.

    Args:
        model: its masked weights are finite.
        masks: by parameter name; brought up to date on the way out, also after an error.
    """
    with torch.no_grad():
        for name, mask in masks.items():
            model.get_parameter(name).masked_fill_(~mask, math.nan)
    try:
        yield
    finally:
        left = dict(model.named_parameters())
        for name in list(masks):
            if name not in left:
                del masks[name]
                continue
            with torch.no_grad():
                masks[name] = ~left[name].isnan()
                left[name].masked_fill_(~masks[name], 0.0)
