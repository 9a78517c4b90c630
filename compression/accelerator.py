"""Where training runs: on a CUDA device if there is one. Moves things there, and back."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.workload import Batch

_CPU: Final = torch.device("cpu")


@runtime_checkable
class Movable(Protocol):
    """What holds tensors and can be moved; modules do, and so do objectives with a teacher."""

    def to(self, device: torch.device, /) -> Any:
        """Moves everything that it holds, in place."""
        ...


def accelerator() -> torch.device:
    """The device to train on: the current CUDA device if there is one, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else _CPU


@contextmanager
def accelerated(model: nn.Module, *others: object) -> Iterator[torch.device]:
    """Moves a model to the accelerator, and back on the way out.

    Args:
        model: moved in place.
        others: moved with it, and to where the model came from; what is not `Movable` is left alone.

    Yields:
        The device, for batches.
    """
    home = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), _CPU)
    things = [model, *(other for other in others if isinstance(other, Movable))]
    device = accelerator()
    try:
        for each in things:
            each.to(device)
        yield device
    finally:
        for each in things:
            each.to(home)


def moved(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device; tensors that are there already are not copied."""
    inputs, targets = batch
    return tuple(each.to(device, non_blocking=True) for each in inputs), targets.to(device, non_blocking=True)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's random numbers follow a seed inside, and go on outside as if nothing had been drawn."""
    device = accelerator()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
