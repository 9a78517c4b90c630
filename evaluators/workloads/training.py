"""Trains a built-in workload's reference, and says on standard error how far it is."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn

from compression import Batch, main_output
from spaces import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVERY_S: Final = 5.0
"""Seconds between two lines of progress."""


class Progress:
    """Prints a line every few seconds with the share done, the loss and the time left.

    Args:
        name: of what is trained.
        total: steps in all.
        clock: seconds from any origin.

    Attributes:
        name: as given.
    """

    def __init__(self, name: str, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.name, self._total, self._clock = name, total, clock
        self._start = self._said = clock()

    def tell(self, done: int, loss: float) -> None:
        """Called after each step with the steps done, at least 1, and the last loss."""
        now = self._clock()
        if now - self._said < EVERY_S and done < self._total:
            return
        self._said = now
        left = round((now - self._start) / done * (self._total - done))
        print(
            f"{self.name}: training {done / self._total:4.0%}, loss {loss:.3f},"
            f" {left // 60}:{left % 60:02} left",
            file=sys.stderr,
            flush=True,
        )


def fit(
    model: nn.Module,
    batches: Iterable[Batch],
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    progress: Progress,
    *,
    gradient_norm: float = float("inf"),
) -> None:
    """Trains a model in place, a step for each batch, and leaves it in eval mode.

    Args:
        model: to be trained.
        batches: of all epochs, one after another.
        loss: of outputs and targets, a scalar.
        optimizer: of the model's parameters.
        schedule: stepped after each batch.
        progress: told after each batch.
        gradient_norm: to which gradients are clipped.

    Raises:
        WorkloadError: the loss is not finite.
    """
    model.train()
    for step, (inputs, targets) in enumerate(batches):
        value = loss(main_output(model(*inputs)), targets)
        if not torch.isfinite(value):
            raise WorkloadError(f"{progress.name}: the training loss became {value.item()} at step {step}")
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), gradient_norm)
        optimizer.step()
        schedule.step()
        progress.tell(step + 1, value.item())
    model.eval()
