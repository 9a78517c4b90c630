"""Where learned steps start: at the least squared error of what they round, instead of the whole range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from compression.qat.fake_quantize import FakeQuantizer
from compression.tracing import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

CANDIDATES: Final = 16
"""Shares of a step that are tried, evenly spaced down from 1."""


def start_steps(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Shrinks the learned steps of activations to those of least squared error (Nagel et al. 2021, 3.1).

    Few levels over the whole range waste most of them on outliers, and training is too short to walk all the
    way. The same start for weights made training at 2 bits worse, so they keep theirs (docs/decisions/0012).

    Args:
        module: changed in place; steps that several share follow the first that runs.
        inputs: of one batch, for the activations.
    """
    done: set[int] = set()
    handles = [
        quantizer.register_forward_pre_hook(_shrinking(done))
        for quantizer in module.modules()
        if isinstance(quantizer, FakeQuantizer)
        and quantizer.step.log_change is not None
        and not quantizer.is_weight
    ]
    try:
        with evaluating(module):
            module(*inputs)
    finally:
        for handle in handles:
            handle.remove()


def _shrinking(done: set[int]) -> Callable[[Any, tuple[Tensor, ...]], None]:
    def shrink(quantizer: FakeQuantizer, given: tuple[Tensor, ...]) -> None:
        if id(quantizer.step) not in done:
            done.add(id(quantizer.step))
            quantizer.step.initial.copy_(best_step(quantizer, given[0]))

    return shrink


def best_step(quantizer: FakeQuantizer, values: Tensor) -> Tensor:
    """The step of least squared error among `CANDIDATES` shares of the present one; the greatest on ties.

    Args:
        quantizer: not changed.
        values: what it rounds.

    Returns:
        float32, of the step's shape: one choice for each channel that has its own.
    """
    step = quantizer.step.initial.clone()
    best, least = step.clone(), torch.full_like(step, torch.inf)
    for index in range(CANDIDATES):
        candidate = step * ((CANDIDATES - index) / CANDIDATES)
        errors = (quantizer.rounded(values, candidate) - values).square()
        if quantizer.axis is None:
            error = errors.sum().reshape(step.shape)
        else:
            axis = quantizer.axis % values.dim()
            error = errors.sum([at for at in range(values.dim()) if at != axis])
        best, least = torch.where(error < least, candidate, best), torch.minimum(error, least)
    return best
