"""What happens in one forward pass: which modules run, in which order, on which shapes. Changes nothing."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WEIGHT_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module.

    Attributes:
        name: module path.
        module: the module itself.
        input_shape: of the only tensor argument, or ``None`` if there is not exactly one argument.
        output_shape: of the output tensor, or ``None`` if the output is not a tensor.
    """

    name: str
    module: nn.Module
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None

    @property
    def weight(self) -> Tensor:
        """Of a weight layer: output channels first."""
        weight: Tensor = self.module.weight  # type: ignore[assignment]
        return weight

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a weight layer for one example."""
        if not isinstance(self.module, WEIGHT_LAYERS) or self.output_shape is None:
            return 0
        weight = self.weight
        outputs = math.prod(self.output_shape) // self.output_shape[0]
        return outputs * (weight.numel() // weight.shape[0])


@contextmanager
def evaluating(model: nn.Module) -> Iterator[nn.Module]:
    """Eval mode without gradients, put back on the way out."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield model
    finally:
        model.train(was_training)


def trace(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    want: Callable[[nn.Module], bool] = lambda module: isinstance(module, WEIGHT_LAYERS),
) -> list[Call]:
    """Runs a model once and returns the calls of the wanted modules, in execution order.

    Args:
        model: run in eval mode; its state does not change.
        inputs: for one call, batch first.
        want: picks modules by type.
    """
    calls: list[Call] = []
    handles = [
        module.register_forward_hook(_recorder(calls, name))
        for name, module in model.named_modules()
        if want(module)
    ]
    try:
        with evaluating(model):
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _recorder(calls: list[Call], name: str) -> Callable[..., None]:
    def record(module: nn.Module, args: tuple[object, ...], output: object) -> None:
        only = args[0] if len(args) == 1 else None
        given = tuple(only.shape) if isinstance(only, Tensor) else None
        made = tuple(output.shape) if isinstance(output, Tensor) else None
        calls.append(Call(name, module, given, made))

    return record
