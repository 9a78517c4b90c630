"""All that one training consists of at a moment, and its form in a checkpoint. Takes no steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

    from compression.early_stopping import EarlyStopping


@runtime_checkable
class Parametrized(Protocol):
    """An objective with parameters of its own, such as projections of hidden states."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Always in the same order."""
        ...


class TrainingState:
    """A model in training.

    Attributes:
        parameters: all that the optimizer changes: the model's and the objective's.
        removed: the masked parameters, each with booleans that are true where it is zero.
        step, epoch, position: steps taken; the epoch, and batches taken of it.
        epoch_rng: random states at the epoch's start, from which its batches can be made again.
    """

    def __init__(self, model: nn.Module, objective: object, masks: Mapping[str, Tensor]) -> None:
        self.model = model
        own = list(objective.parameters()) if isinstance(objective, Parametrized) else []
        self.objective = {f"objective.{index}": parameter for index, parameter in enumerate(own)}
        self.parameters = [p for p in (*model.parameters(), *own) if p.requires_grad]
        if not self.parameters:
            raise CompressionError("nothing can be trained: no parameter of the model requires gradients")
        self.removed = _removed(model, masks)
        self.step = self.epoch = self.position = 0
        self.epoch_rng = random_states()

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers of the model, and the objective's parameters; not copies."""
        inner = (*self.model.named_parameters(), *self.model.named_buffers())
        return {f"model.{name}": tensor for name, tensor in inner} | self.objective

    def pack(
        self, optimizer: Optimizer, schedule: LRScheduler, stopping: EarlyStopping | None
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything as tensors by name and a JSON document."""
        moments = optimizer.state_dict()
        tensors = self.tensors()
        for index, slots in moments["state"].items():
            tensors |= {f"optimizer.{index}.{key}": slot for key, slot in slots.items() if slot is not None}
        tensors |= {f"rng.{index}": state for index, state in enumerate(random_states())}
        tensors |= {f"epoch_rng.{index}": state for index, state in enumerate(self.epoch_rng)}
        document: dict[str, Any] = {
            "counters": [self.step, self.epoch, self.position],
            "groups": moments["param_groups"],
            "schedule": schedule.state_dict(),
        }
        if stopping is not None:
            document["best"] = [stopping.step, stopping.loss]
            tensors |= {f"best.{name}": tensor for name, tensor in stopping.best.items()}
        return tensors, document

    def unpack(
        self,
        tensors: Mapping[str, Tensor],
        document: Mapping[str, Any],
        optimizer: Optimizer,
        schedule: LRScheduler,
        stopping: EarlyStopping | None,
    ) -> None:
        """Puts everything back as `pack` found it, in place."""
        with torch.no_grad():
            for name, tensor in self.tensors().items():
                tensor.copy_(tensors[name])
        moments: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _below("optimizer", tensors).items():
            index, key = name.split(".")
            moments.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": moments, "param_groups": document["groups"]})
        schedule.load_state_dict(dict(document["schedule"]))
        self.step, self.epoch, self.position = document["counters"]
        if stopping is not None:
            stopping.step, stopping.loss = document["best"]
            stopping.best = _below("best", tensors)
        self.epoch_rng = list(_below("epoch_rng", tensors).values())
        set_random_states(list(_below("rng", tensors).values()))


def random_states() -> list[Tensor]:
    """The states of torch's generators: the CPU's, and the current CUDA device's if there is one."""
    cuda = [torch.cuda.get_rng_state()] if torch.cuda.is_available() else []
    return [torch.get_rng_state(), *cuda]


def set_random_states(states: list[Tensor]) -> None:
    """Puts back what `random_states` gave; a state for a device that is not there is left out."""
    torch.set_rng_state(states[0])
    if len(states) > 1 and torch.cuda.is_available():
        torch.cuda.set_rng_state(states[1])


def _removed(model: nn.Module, masks: Mapping[str, Tensor]) -> list[tuple[nn.Parameter, Tensor]]:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    removed = []
    for name, mask in masks.items():
        if name not in parameters:
            raise CompressionError(f"a mask names the parameter {name!r}, which the model does not have")
        parameter = parameters[name]
        if mask.dtype != torch.bool or mask.shape != parameter.shape:
            raise CompressionError(
                f"the mask of {name!r} is {mask.dtype} {tuple(mask.shape)}; it must be boolean and of the "
                f"parameter's shape {tuple(parameter.shape)}"
            )
        removed.append((parameter, ~mask.to(parameter.device)))
    return removed


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under a prefix, without it."""
    return {
        name.removeprefix(f"{prefix}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}.")
    }
