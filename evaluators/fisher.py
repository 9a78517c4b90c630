"""What rounding is expected to cost by squared gradients: half of the empirical Fisher information."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from compression import main_output
from evaluators.rounding import matrices, round_weight

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from compression import Workload


def fisher_losses(
    workload: Workload,
    model: nn.Module,
    bits: Mapping[str, Sequence[int]],
    *,
    examples: int,
    seed: int,
) -> Iterator[tuple[str, list[float]]]:
    """By layer, half of the empirical Fisher information times the squared change of each weight.

    Args:
        workload: its train split is read, one example at a time.
        model: not changed.
        bits: by layer, the bit-widths from mild to severe.
        examples: that gradients are taken of.
        seed: of the choice of examples.

    Yields:
        A layer and the change of the loss of each bit-width against the first.
    """
    weights = {name: matrices(model.get_submodule(name)) for name in bits}
    flat = [weight for own in weights.values() for weight in own]
    information = iter(_squared_gradients(workload, model, flat, examples, seed))
    for name, choices in bits.items():
        pairs = [(weight.detach(), next(information)) for weight in weights[name]]
        losses = []
        for choice in choices:
            changes = [(round_weight(weight, choice) - weight).square() * known for weight, known in pairs]
            losses.append(0.5 * sum(float(change.sum()) for change in changes))
        yield name, [loss - losses[0] for loss in losses]


def _squared_gradients(
    workload: Workload, model: nn.Module, weights: list[Tensor], examples: int, seed: int
) -> list[Tensor]:
    """The mean over the examples of the squared gradients of each one's loss."""
    count, sums = 0, [torch.zeros_like(weight) for weight in weights]
    for weight in weights:
        weight.requires_grad_(True)
    for inputs, targets in workload.batches("train", 1, limit=examples, seed=seed):
        with torch.enable_grad():
            loss = workload.loss(main_output(model(*inputs)), targets)
            gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total.add_(gradient.square())
        count += 1
    return [total / count for total in sums]
