"""When training stops early, and what it returns: the weights of least loss on the calibration split."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

CHECKS_AN_EPOCH = 4


@dataclass(slots=True)
class EarlyStopping:
    """Keeps the best state that was seen, and says when nothing better came for long enough.

    Attributes:
        patience: steps without a better loss after which training stops; infinite never stops.
        every: steps between two looks.
        loss: the least so far; a tie keeps the earlier state.
        step: at which it was seen.
        best: the state then, as copies by name.
    """

    patience: float
    every: int
    loss: float = math.inf
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def after(cls, epochs: float, per_epoch: int) -> EarlyStopping:
        """From a patience in epochs: a look every quarter epoch, and once within the patience."""
        patience = epochs * per_epoch
        return cls(patience, max(1, min(math.floor(patience), per_epoch // CHECKS_AN_EPOCH)))

    def is_due(self, step: int) -> bool:
        """The loss shall be looked at after this many steps."""
        return step % self.every == 0

    def see(self, step: int, loss: float, state: Mapping[str, Tensor]) -> None:
        """Takes note of a loss, and copies the state if it is the least; NaN never is."""
        if loss < self.loss:
            self.loss, self.step = loss, step
            self.best = {name: tensor.detach().clone() for name, tensor in state.items()}

    def is_over(self, step: int) -> bool:
        """Nothing better came within the patience."""
        return step - self.step >= self.patience

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Copies the best state back, in place; before the first finite loss there is none to copy."""
        with torch.no_grad():
            for name, tensor in self.best.items():
                state[name].copy_(tensor)
