"""What a loss loses with each block: measured, or to first order by gates on the blocks' changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from compression.importance import BATCH_SIZE, EXAMPLES
from compression.passing import bypassed
from compression.tracing import evaluating, first_argument
from compression.workload import main_output
from spaces import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from compression.workload import Batch, Workload


def loss_increases(model: nn.Module, blocks: Sequence[str], workload: Workload) -> dict[str, float]:
    """How much the loss rises when a block alone goes, measured on the calibration split.

    Args:
        model: read in eval mode, and as it was when this returns.
        blocks: module paths of removable blocks.
        workload: its calibration split is read, 512 examples at most, once and once more for each block.

    Returns:
        The mean loss without each block less that of the whole model; negative where the model gains.

    Raises:
        WorkloadError: the split is empty, or a loss is not finite.
    """
    whole = _mean_loss(model, workload, "the whole model")
    increases = {}
    for name in blocks:
        with bypassed(model, [name]):
            increases[name] = _mean_loss(model, workload, f"the model without {name!r}") - whole
    return increases


def gate_slopes(model: nn.Module, blocks: Sequence[str], workload: Workload) -> dict[str, float]:
    """How steeply the loss of each example depends on each block, in the mean over calibration examples.

    A block that maps x to y is made x + g (y - x), with one gate g = 1 for each example of a batch: the
    derivative of the loss by g is its first-order change when the block becomes the identity (the gates of
    Molchanov et al. 2019, 3.2, on whole blocks).

    Args:
        model: read in eval mode; neither its state nor its gradients change.
        blocks: module paths of blocks that map a tensor to one of the same shape, batch first.
        workload: its calibration split is read, 512 examples at most.

    Returns:
        The mean of the derivatives' magnitudes for each block, at least 0; 0 for a block that the loss does
        not depend on.

    Raises:
        WorkloadError: the split is empty, or a derivative is not finite.
    """
    totals, examples = dict.fromkeys(blocks, 0.0), 0
    was_training = model.training
    model.eval()
    try:
        for inputs, targets in _calibration(workload):
            for name, slopes in _slopes(model, blocks, workload, inputs, targets).items():
                # The derivative of a mean over the batch: each example's own is as many times larger.
                totals[name] += len(targets) * float(slopes.abs().sum(dtype=torch.float64))
            examples += len(targets)
    finally:
        model.train(was_training)
    if broken := [name for name, total in totals.items() if not total < torch.inf]:
        raise WorkloadError(
            f"workload {workload.name!r}: gradients at {broken[0]!r} are not finite on the calibration split"
        )
    return {name: total / examples for name, total in totals.items()}


def _calibration(workload: Workload) -> Iterator[Batch]:
    is_empty = True
    for batch in workload.batches("calibration", BATCH_SIZE, limit=EXAMPLES):
        is_empty = False
        yield batch
    if is_empty:
        raise WorkloadError(
            f"workload {workload.name!r}: the calibration split is empty, so blocks cannot be ranked"
        )


def _mean_loss(model: nn.Module, workload: Workload, subject: str) -> float:
    total, examples = 0.0, 0
    with evaluating(model):
        for inputs, targets in _calibration(workload):
            total += float(workload.loss(main_output(model(*inputs)), targets)) * len(targets)
            examples += len(targets)
    if not abs(total) < torch.inf:
        raise WorkloadError(
            f"workload {workload.name!r}: the loss of {subject} is {total} on the calibration split"
        )
    return total / examples


def _slopes(
    model: nn.Module, blocks: Sequence[str], workload: Workload, inputs: tuple[Tensor, ...], targets: Tensor
) -> dict[str, Tensor]:
    """Derivatives of the loss by the gates of each block, summed over the block's calls."""
    gates: dict[str, list[Tensor]] = {name: [] for name in blocks}
    handles = [
        model.get_submodule(name).register_forward_hook(_gated(gates[name]), with_kwargs=True)
        for name in blocks
    ]
    try:
        with torch.enable_grad():
            loss = workload.loss(main_output(model(*inputs)), targets)
    finally:
        for handle in handles:
            handle.remove()
    placed = [(name, gate) for name, own in gates.items() for gate in own]
    if not placed or not loss.requires_grad:
        return {}
    slopes = torch.autograd.grad(loss, [gate for _, gate in placed], allow_unused=True)
    found: dict[str, Tensor] = {}
    for (name, _), slope in zip(placed, slopes, strict=True):
        if slope is not None:
            found[name] = found.get(name, torch.zeros(())) + slope.detach().cpu().flatten()
    return found


def _gated(gates: list[Tensor]) -> Callable[..., Any]:
    def gate(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Any) -> Any:
        given: Any = first_argument(args, kwargs)
        made = output[0] if isinstance(output, tuple) else output
        ones = torch.ones(len(made), *[1] * (made.dim() - 1), dtype=made.dtype, device=made.device)
        gates.append(ones.requires_grad_())
        changed = given + gates[-1] * (made - given)
        return (changed, *output[1:]) if isinstance(output, tuple) else changed

    return gate
