"""What a model is taught: labels, the reference's outputs and inner states, sparsity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.modules.batchnorm import _BatchNorm

from compression.accelerator import Movable
from compression.features import FeatureMatch, match_features
from compression.tracing import WEIGHT_LAYERS, evaluating
from compression.training_state import Parametrized
from compression.workload import Workload, main_output
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.training import Objective
    from spaces import Distill
    from spaces.recovery import Sparsity


def distilling(
    workload: Workload,
    distill: Distill | None,
    teacher: nn.Module,
    student: nn.Module,
    *,
    match: FeatureMatch | None = None,
) -> Objective:
    """The objective of a recovery.

    With a teacher it is ``alpha x soft + (1 - alpha) x workload.loss + feature_weight x features``, the parts
    soft being `soft_loss`, or the mean squared difference of outputs that are no scores of classes
    (`class_dimension`); without, the workload's loss. The teacher runs on
    every batch again, for the batch may be augmented, in eval mode and without gradients.

    Args:
        workload: for the loss and, for features, example inputs.
        distill: how the teacher teaches; ``None`` leaves labels alone.
        teacher: the reference; not changed.
        student: the model that will be trained. Its shapes are read for features, so one that is pruned
            further needs a new objective.
        match: of features of a student whose modules do not show them; ``None`` finds them by its modules.

    Raises:
        CompressionError: the models do not have the features, or features that do not fit.
    """
    if distill is None:
        return lambda model, inputs, targets: workload.loss(main_output(model(*inputs)), targets)
    if distill.features == "none":
        match = None
    elif match is None:
        match = match_features(distill.features, student, teacher, workload.example_inputs())
    return _Distillation(workload, distill, teacher, match)


def penalized(objective: Objective, model: nn.Module, sparsity: Sparsity) -> Objective:
    """Adds ``strength x L1`` to an objective, so that training drives what will be pruned towards zero.

    Args:
        objective: what is minimised besides.
        model: whose parameters are penalised: the weights of convolutions and linear layers, or the scales of
            BatchNorm (Liu et al. 2017, eq. 1). The norm is a sum, not a mean.
        sparsity: the penalty and its strength.

    Raises:
        CompressionError: the model has nothing that the penalty applies to.
    """
    return _Penalized(objective, _penalized_parameters(model, sparsity.penalty), sparsity.strength)


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


def class_dimension(outputs: Tensor, targets: Tensor) -> int | None:
    """The dimension of outputs that holds the scores of classes, or ``None`` if they are no scores.

    Targets that are not integers, or of the outputs' shape, are values to be predicted, not classes. With one
    target for every position, classes are the dimension that targets lack: the last (tokens, ``n x t x c``)
    or the second (pixels, ``n x c x h x w``); the last where both fit. Else the first after the batch that is
    larger than 1 (``n x c x 1 x 1``).
    """
    if targets.is_floating_point() or outputs.ndim < 2 or targets.shape == outputs.shape:  # noqa: PLR2004
        return None
    for dimension in (outputs.ndim - 1, 1):
        others = outputs.shape[:dimension] + outputs.shape[dimension + 1 :]
        if others == targets.shape and outputs.shape[dimension] > 1:
            return dimension
    return next((index for index, size in enumerate(outputs.shape) if index > 0 and size > 1), None)


class _Distillation:
    """`distilling` with a teacher."""

    def __init__(
        self, workload: Workload, distill: Distill, teacher: nn.Module, match: FeatureMatch | None
    ) -> None:
        self._workload, self._distill, self._teacher, self._match = workload, distill, teacher, match

    def parameters(self) -> Iterator[nn.Parameter]:
        """Of what is learned to match features; no part of the student."""
        if self._match is not None:
            yield from self._match.parameters()

    def to(self, device: torch.device) -> None:
        """Moves the teacher, and what is learned."""
        self._teacher.to(device)
        if self._match is not None:
            self._match.to(device)

    def __call__(self, model: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        distill, match = self._distill, self._match
        if match is None:
            outputs, taught = main_output(model(*inputs)), self._teach(inputs)
            return self._output_loss(outputs, taught, targets)
        with match.watching(model) as seen:
            outputs = main_output(model(*inputs))
        with match.watching(self._teacher) as known:
            taught = self._teach(inputs)
        loss = self._output_loss(outputs, taught, targets)
        return loss + distill.feature_weight * match.loss(seen, known)

    def _teach(self, inputs: tuple[Tensor, ...]) -> Tensor:
        with evaluating(self._teacher):
            return main_output(self._teacher(*inputs))

    def _output_loss(self, outputs: Tensor, taught: Tensor, targets: Tensor) -> Tensor:
        alpha = self._distill.alpha
        if alpha == 0:
            return self._workload.loss(outputs, targets)
        if outputs.shape != taught.shape:
            raise CompressionError(
                f"the student's outputs {tuple(outputs.shape)} cannot learn from the teacher's "
                f"{tuple(taught.shape)}; set distill to null, or its alpha to 0"
            )
        classes = class_dimension(outputs, targets)
        if classes is None:
            soft = F.mse_loss(outputs, taught)
        else:
            student, teacher = outputs.movedim(classes, -1), taught.movedim(classes, -1)
            soft = soft_loss(student, teacher, self._distill.temperature)
        return soft if alpha == 1 else alpha * soft + (1 - alpha) * self._workload.loss(outputs, targets)


class _Penalized:
    """`penalized`."""

    def __init__(self, objective: Objective, penalties: list[nn.Parameter], strength: float) -> None:
        self._objective, self._penalties, self._strength = objective, penalties, strength

    def parameters(self) -> Iterator[nn.Parameter]:
        """The inner objective's own."""
        inner: object = self._objective
        if isinstance(inner, Parametrized):
            yield from inner.parameters()

    def to(self, device: torch.device) -> None:
        """Moves the inner objective."""
        inner: object = self._objective
        if isinstance(inner, Movable):
            inner.to(device)

    def __call__(self, model: nn.Module, inputs: tuple[Tensor, ...], targets: Tensor) -> Tensor:
        norm = torch.stack([parameter.abs().sum() for parameter in self._penalties]).sum()
        return self._objective(model, inputs, targets) + self._strength * norm


def _penalized_parameters(model: nn.Module, penalty: str) -> list[nn.Parameter]:
    kinds: tuple[type[nn.Module], ...] = WEIGHT_LAYERS if penalty == "weight" else (_BatchNorm,)
    found = {
        id(module.weight): module.weight
        for module in model.modules()
        if isinstance(module, kinds) and isinstance(module.weight, nn.Parameter)
    }
    if not found:
        what = "convolutions or linear layers" if penalty == "weight" else "BatchNorm layers with scales"
        raise CompressionError(
            f"sparsity with penalty {penalty!r} cannot be applied: the model has no {what}"
        )
    return list(found.values())
