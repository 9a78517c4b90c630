"""Training a model by an objective, in place: what can be asked. What is taught is the objective's affair."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from torch import Tensor, nn

from compression.accelerator import accelerated, seeded
from compression.training_loop import TrainingLoop
from spaces import CompressionError

if TYPE_CHECKING:
    from pathlib import Path

    from compression.workload import Workload
    from spaces import Recovery

BATCH_SIZE: Final = 64
CHECKPOINT_EVERY_S: Final = 30.0
LEARNING_RATES: Final[Mapping[str, float]] = MappingProxyType({"sgd": 0.03, "adamw": 5e-4})
"""Peaks of the schedule by optimizer, as measured in docs/decisions/0006."""

Report = Callable[[float], None]
"""Called with the share of the training that is done, from 0 to 1; raise from it to stop."""

Objective = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]
"""``(model, inputs, targets) -> scalar`` to be minimised; it runs the model itself.

It may have ``parameters()``, which are trained along, and ``to(device)``, which moves what it holds.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and by what a model is trained.

    Attributes:
        epochs: passes over the train split, fractions allowed; 0 changes nothing.
        optimizer: ``sgd`` (Nesterov momentum) or ``adamw`` (decoupled weight decay).
        learning_rate: the one-cycle schedule's peak; ``None`` is the optimizer's in `LEARNING_RATES`.
        patience: epochs without a better objective on the calibration split after which training stops;
            with any patience, the best weights that were seen return. ``None`` trains to the end.
        seed: of shuffling and dropout.
        batch_size: examples a step.
        part: the stretch of the schedule that is walked, from 0 to 1: of a training that is interrupted to
            prune, each piece takes the learning rate up where the one before left it.
    """

    epochs: float
    optimizer: str = "sgd"
    learning_rate: float | None = None
    patience: float | None = None
    seed: int = 0
    batch_size: int = BATCH_SIZE
    part: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.optimizer not in LEARNING_RATES:
            known = ", ".join(LEARNING_RATES)
            raise CompressionError(f"unknown optimizer {self.optimizer!r}; choose one of: {known}")
        start, end = self.part
        if not 0 <= start < end <= 1:
            raise CompressionError(f"a schedule's part must ascend within 0 to 1, not {start:g} to {end:g}")

    @classmethod
    def of(cls, recovery: Recovery, *, seed: int, epochs: float | None = None) -> Plan:
        """A recovery's plan; `epochs` takes the place of the recovery's, where it is spent in phases."""
        epochs = recovery.epochs if epochs is None else epochs
        return cls(epochs, recovery.optimizer, recovery.learning_rate, recovery.patience, seed)

    def pieces(self, shares: Sequence[float]) -> tuple[Plan, ...]:
        """The same training in pieces: shares of its epochs, which sum to 1, one after another.

        Together they walk the schedule once; each shuffles with a seed of its own.
        """
        ends = [min(end, 1.0) for end in itertools.accumulate(shares)]
        starts = [0.0, *ends]
        return tuple(
            replace(self, epochs=self.epochs * share, seed=self.seed + index, part=(start, end))
            for index, (share, start, end) in enumerate(zip(shares, starts, ends, strict=False))
        )

    @property
    def peak(self) -> float:
        """The schedule's highest learning rate."""
        return LEARNING_RATES[self.optimizer] if self.learning_rate is None else self.learning_rate


def fit(
    model: nn.Module,
    workload: Workload,
    objective: Objective,
    plan: Plan,
    *,
    masks: Mapping[str, Tensor] = MappingProxyType({}),
    report: Report = lambda share: None,
    checkpoint: Path | None = None,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
) -> None:
    """Trains a model's parameters that require gradients, in place, and leaves it in eval mode.

    The learning rate follows one cycle (Smith & Topin 2019), gradients are clipped by norm, weight decay
    spares parameters of fewer than two dimensions (biases, norms, step sizes). The same arguments give the
    same weights, bit-identical on one CPU thread. Runs on CUDA where there is a device. Train batches of a
    single example are left out where there is BatchNorm, which has no variance of one.

    Args:
        model: trained in place; its shapes must not change meanwhile.
        workload: train batches, and calibration batches for a patience.
        objective: what is minimised; for steps in train mode, for patience in eval mode without gradients.
        plan: epochs, optimizer, patience and seed. Zero epochs change nothing, to the bit.
        masks: by parameter name, booleans of its shape, true where it is kept; the rest is zero and stays so.
        report: told the share done after each step; it never falls and ends with 1.0, stopped early or not.
        checkpoint: a file that a killed training continues from, to the same weights, when it is started
            again with the same arguments; one made from other weights, masks or plans counts for nothing and
            is overwritten. It stays behind at the end, and then gives the result without training.
        checkpoint_every_s: seconds between two writes of it.

    Raises:
        CompressionError: nothing can be trained, a mask fits no parameter, or the checkpoint is damaged.
        WorkloadError: a split is empty, or the loss or its gradient is not finite.
    """
    model.eval()
    if plan.epochs == 0:
        return
    try:
        with accelerated(model, objective) as device, seeded(plan.seed):
            loop = TrainingLoop(model, workload, objective, plan, masks, device)
            if checkpoint is not None:
                loop.keep(checkpoint, checkpoint_every_s)
            loop.run(report)
    finally:
        model.eval()
