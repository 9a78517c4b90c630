"""What happens in one forward pass: which modules run, in which order, on which shapes. Changes nothing."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

WEIGHT_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
"""Layers whose outputs are channels, one for each row of their weight: what pruning works on."""

RECURRENT_LAYERS: Final = (nn.LSTM, nn.GRU)

QUANTIZABLE_LAYERS: Final = (*WEIGHT_LAYERS, nn.Embedding, *RECURRENT_LAYERS)
"""Layers whose weights a policy can store in fewer bits: what an inventory lists."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a module.

    Attributes:
        name: module path.
        module: the module itself.
        input_shape: of the first argument, by position or else by name, or ``None`` if it is no tensor; a
            packed sequence counts as padded.
        output_shape: of the output tensor, or ``None`` if the output is not a tensor.
    """

    name: str
    module: nn.Module
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None

    @property
    def weight(self) -> Tensor:
        """Of a layer: output channels first; of a recurrent one, the first layer's weights of the inputs."""
        is_recurrent = isinstance(self.module, RECURRENT_LAYERS)
        weight: Tensor = self.module.weight_ih_l0 if is_recurrent else self.module.weight  # type: ignore[assignment]
        return weight

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a layer for one example; an embedding looks up and multiplies nothing.

        A recurrent layer multiplies each of its matrices once a step; gates' element-wise products are left
        out, as activations are elsewhere.
        """
        if isinstance(self.module, RECURRENT_LAYERS):
            return self._steps * sum(
                parameter.numel()
                for name, parameter in self.module.named_parameters(recurse=False)
                if name.startswith("weight")
            )
        if not isinstance(self.module, WEIGHT_LAYERS) or self.output_shape is None:
            return 0
        weight = self.weight
        outputs = math.prod(self.output_shape) // self.output_shape[0]
        return outputs * (weight.numel() // weight.shape[0])

    @property
    def _steps(self) -> int:
        if self.input_shape is None:
            return 0
        is_batched = len(self.input_shape) == 3  # noqa: PLR2004  # batch, steps and features
        return self.input_shape[1 if is_batched and self.module.batch_first else 0]


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
        module.register_forward_hook(_recorder(calls, name), with_kwargs=True)
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


def first_argument(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
    """What a module was called on: its first argument, by position or else by name; ``None`` without any."""
    return next(iter((*args, *kwargs.values())), None)


def _recorder(calls: list[Call], name: str) -> Callable[..., None]:
    def record(
        module: nn.Module, args: tuple[object, ...], kwargs: Mapping[str, object], output: object
    ) -> None:
        given = _shape(first_argument(args, kwargs), is_batch_first=getattr(module, "batch_first", False))
        made = tuple(output.shape) if isinstance(output, Tensor) else None
        calls.append(Call(name, module, given, made))

    return record


def _shape(value: object, *, is_batch_first: bool) -> tuple[int, ...] | None:
    if isinstance(value, PackedSequence):
        steps, batch = len(value.batch_sizes), int(value.batch_sizes[0])
        return (
            (batch, steps, *value.data.shape[1:]) if is_batch_first else (steps, batch, *value.data.shape[1:])
        )
    return tuple(value.shape) if isinstance(value, Tensor) else None
