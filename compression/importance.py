"""How important each weight is, by every criterion of a policy. Ranks nothing and removes nothing.

Scores are element-wise, so that weights, channels, heads and blocks all add up the same numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from compression.tracing import WEIGHT_LAYERS
from compression.workload import main_output
from spaces import CompressionError, Criterion, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.workload import Workload

BATCH_SIZE: Final = 64
EXAMPLES: Final = 512
"""Calibration examples that gradients are taken on."""

NORM_LAYERS: Final = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.GroupNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
    nn.LayerNorm,
)


def saliency(
    model: nn.Module, workload: Workload, criterion: Criterion, *, seed: int = 0
) -> dict[str, Tensor]:
    """Scores every weight of every weight layer; the least goes first.

    ``l1`` is |w| and ``l2`` is w². ``gradient`` is the sum over calibration batches of |w·g|, the first-order
    change of the loss when the weight alone goes. ``taylor`` is the sum over the batches of w·g *with its
    sign*: what a unit's weights do together is the magnitude of their sum (Molchanov et al. 2019, eq. 8,
    without the square, which does not change the ranking); see `reduce_scores`. ``bn_scale`` is the size of
    normalization layers' scales (Liu et al. 2017). ``random`` is uniform in [0, 1).

    Args:
        model: neither its state nor its gradients change; it is read in eval mode.
        workload: its calibration split is read by ``gradient`` and ``taylor`` alone, 512 examples at most.
        criterion: which score.
        seed: of ``random``.

    Returns:
        Float32 scores on the CPU by parameter name, in the shapes of the parameters; for ``bn_scale`` of the
        normalization layers' scales alone. Weights that the loss does not depend on score 0.

    Raises:
        CompressionError: a weight is not finite.
        WorkloadError: the calibration split is empty, or its loss or gradients are not finite.
    """
    if criterion in {"gradient", "taylor"}:
        return _sensitivities(model, workload, is_signed=criterion == "taylor")
    if criterion == "random":
        generator = torch.Generator().manual_seed(seed)
        return {
            name: torch.rand(weight.shape, generator=generator)
            for name, weight in weights_of(model, WEIGHT_LAYERS).items()
        }
    return magnitudes(model, criterion)


def magnitudes(model: nn.Module, criterion: Criterion = "l1") -> dict[str, Tensor]:
    """The scores of `saliency` that need no data: ``l1``, ``l2`` and ``bn_scale``."""
    kinds = NORM_LAYERS if criterion == "bn_scale" else WEIGHT_LAYERS
    scores = {}
    for name, weight in weights_of(model, kinds).items():
        values = weight.detach().to("cpu", torch.float32)
        scores[name] = values.square() if criterion == "l2" else values.abs()
        if not bool(scores[name].isfinite().all()):
            raise CompressionError(
                f"parameter {name!r} holds values that are not finite, so cannot be ranked"
            )
    return scores


def weights_of(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> dict[str, nn.Parameter]:
    """The weights, without biases, of all modules of some kinds by parameter name, each tensor once."""
    owners = {name for name, module in model.named_modules() if isinstance(module, kinds)}
    found = {}
    for name, parameter in model.named_parameters():
        owner, _, own = name.rpartition(".")
        if owner in owners and own.startswith("weight"):
            found[name] = parameter
    return found


def reduce_scores(slices: Sequence[Tensor], criterion: Criterion) -> Tensor:
    """One score for each unit from the element scores of everything that goes with it.

    Args:
        slices: each ``units x ...``: the scores, by `saliency`, of one tensor's share of every unit; at least
            one.
        criterion: that they were made by.

    Returns:
        ``units`` scores, float64: the sums over all slices, and of ``taylor`` the sums' magnitudes.
    """
    parts = [part.to(torch.float64).reshape(part.shape[0], -1).sum(1) for part in slices]
    total = torch.stack(parts).sum(0)
    return total.abs() if criterion == "taylor" else total


def _sensitivities(model: nn.Module, workload: Workload, *, is_signed: bool) -> dict[str, Tensor]:
    weights = weights_of(model, WEIGHT_LAYERS)
    totals = {name: torch.zeros_like(weight, dtype=torch.float32) for name, weight in weights.items()}
    flags = {name: weight.requires_grad for name, weight in weights.items()}
    was_training = model.training
    batches = 0
    model.eval()
    try:
        for weight in weights.values():
            weight.requires_grad_(True)
        for inputs, targets in workload.batches("calibration", BATCH_SIZE, limit=EXAMPLES):
            gradients = _gradients(model, workload, inputs, targets, list(weights.values()))
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                if gradient is not None:
                    product = weight.detach() * gradient
                    totals[name] += product if is_signed else product.abs()
            batches += 1
    finally:
        model.train(was_training)
        for name, weight in weights.items():
            weight.requires_grad_(flags[name])
    if batches == 0:
        raise WorkloadError(
            f"workload {workload.name!r}: the calibration split is empty, so gradients cannot be taken"
        )
    if broken := [name for name, total in totals.items() if not bool(total.isfinite().all())]:
        raise WorkloadError(
            f"workload {workload.name!r}: gradients at {broken[0]!r} are not finite on the calibration split"
        )
    return {name: total.cpu() for name, total in totals.items()}


def _gradients(
    model: nn.Module, workload: Workload, inputs: tuple[Tensor, ...], targets: Tensor, weights: list[Any]
) -> tuple[Tensor | None, ...]:
    with torch.enable_grad():
        loss = workload.loss(main_output(model(*inputs)), targets)
        if not bool(torch.isfinite(loss)):
            raise WorkloadError(
                f"workload {workload.name!r}: the loss on the calibration split became {loss.item()}"
            )
        # autograd.grad leaves no .grad behind, and parameters that the loss does not reach get None.
        return torch.autograd.grad(loss, weights, allow_unused=True)
