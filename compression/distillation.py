"""Recovery: training a compressed model on the train split, with the reference as its teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from compression.tracing import evaluating
from compression.workload import Batch, Workload, main_output
from spaces import CompressionError, Distill, Recovery, WorkloadError

BATCH_SIZE = 64
LEARNING_RATE = 0.03
GRADIENT_NORM = 5.0

Report = Callable[[float], None]
"""Called with the share of the training that is done, from 0 to 1; raise from it to stop."""


def recover(
    model: nn.Module,
    workload: Workload,
    recovery: Recovery,
    teacher: nn.Module,
    *,
    seed: int,
    report: Report = lambda share: None,
) -> None:
    """Trains a model in place and leaves it in eval mode.

    SGD with Nesterov momentum under a one-cycle schedule, gradients clipped by norm; everything random
    follows the seed. Zero epochs change nothing, to the bit.

    Args:
        model: the compressed model.
        workload: train batches and loss.
        recovery: epochs (fractions allowed) and how the teacher teaches.
        teacher: the reference; not changed.
        seed: of shuffling and dropout.
        report: told the share done after each step.

    Raises:
        CompressionError: the recovery asks for what cannot be done.
        WorkloadError: the train split is empty, or the loss is not finite.
    """
    if recovery.qat:
        raise CompressionError("recovery with qat=true cannot be applied; set it to false")
    if recovery.distill is not None and recovery.distill.features != "none":
        raise CompressionError(
            f"distillation of features {recovery.distill.features!r} cannot be applied; use 'none'"
        )
    model.eval()
    if recovery.epochs == 0:
        return
    per_epoch = sum(1 for _ in workload.batches("train", BATCH_SIZE, seed=seed))
    steps = math.ceil(per_epoch * recovery.epochs)
    if steps == 0:
        raise WorkloadError(
            f"workload {workload.name!r}: the train split is empty, so nothing can be recovered"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _train(model, workload, recovery.distill, teacher, steps, seed, report)
    model.eval()


def soft_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence of softened distributions over the last dimension, times T² (Hinton et al. 2015, 2.1).

    Args:
        student: logits, ``... x classes``.
        teacher: logits of the same shape.
        temperature: above 0.

    Returns:
        A scalar: the mean over all leading dimensions; 0 where both agree.
    """
    classes = student.shape[-1]
    log_student = F.log_softmax(student.reshape(-1, classes) / temperature, dim=-1)
    log_teacher = F.log_softmax(teacher.reshape(-1, classes) / temperature, dim=-1)
    return F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True) * temperature**2


def _train(
    model: nn.Module,
    workload: Workload,
    distill: Distill | None,
    teacher: nn.Module,
    steps: int,
    seed: int,
    report: Report,
) -> None:
    # On digits-cnn, SGD at this rate leaves an unpruned model as good as it was; AdamW at 2e-3 costs 2 %.
    optimizer = torch.optim.SGD(
        model.parameters(), LEARNING_RATE, momentum=0.9, weight_decay=1e-4, nesterov=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + 1)
    model.train()
    for step, (inputs, targets) in zip(range(steps), _endless(workload, seed), strict=False):
        outputs = main_output(model(*inputs))
        loss = _loss(outputs, inputs, targets, workload, distill, teacher)
        if not torch.isfinite(loss):
            raise WorkloadError(
                f"workload {workload.name!r}: the training loss became {loss.item()} at step {step}"
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        report((step + 1) / steps)


def _loss(
    outputs: Tensor,
    inputs: tuple[Tensor, ...],
    targets: Tensor,
    workload: Workload,
    distill: Distill | None,
    teacher: nn.Module,
) -> Tensor:
    if distill is None:
        return workload.loss(outputs, targets)
    with evaluating(teacher):
        taught = main_output(teacher(*inputs))
    soft = soft_loss(outputs, taught, distill.temperature)
    if distill.alpha == 1:
        return soft
    return distill.alpha * soft + (1 - distill.alpha) * workload.loss(outputs, targets)


def _endless(workload: Workload, seed: int) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from workload.batches("train", BATCH_SIZE, seed=seed + epoch)
        epoch += 1
