"""Quantization with gradients: values are rounded to a grid and stay floats; step sizes may be learned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable


PACE: Final = 30.0
"""How much faster than a weight a step moves, relative to its size, under Adam's updates of equal size."""

HASTE: Final = 10.0
"""How much faster a step moves under SGD than in Esser et al. 2020, who train a hundred times longer."""


class StepSize(nn.Module):
    """The distance between two neighbours on a grid; positive, learned or fixed.

    A learned step is ``initial x exp(PACE x p)`` with a parameter p that starts at 0: it stays positive, and
    an update changes it relative to its size. The gradient of p is scaled such that SGD moves the step
    `HASTE` times as far as it would if the step itself were the parameter, as in Esser et al. 2020. Both
    factors were chosen on digits-cnn at 2 to 4 bits, where training takes tens of steps.

    Args:
        initial: float32, a scalar or one entry a channel, above 0.
        is_learned: whether training may change it.
    """

    initial: Tensor

    def __init__(self, initial: Tensor, *, is_learned: bool) -> None:
        super().__init__()
        self.register_buffer("initial", initial.clone())
        self.log_change = nn.Parameter(torch.zeros_like(initial)) if is_learned else None

    def forward(self) -> Tensor:
        """The step, of the initial one's shape."""
        if self.log_change is None:
            return self.initial
        change = PACE * self.log_change
        if change.requires_grad:
            change.register_hook(_scaled_by(HASTE * (PACE * self.initial) ** -2))  # type: ignore[no-untyped-call]
        return self.initial * change.exp()


class FakeQuantizer(nn.Module):
    """Rounds to the nearest multiple of a step, half to even, within a range of integers.

    It divides by the step as ONNX Runtime does, so that values halfway between two integers go the same way;
    torch's own fake quantization multiplies by the reciprocal. The gradient of a value is passed through
    inside the range and is zero outside (straight-through, Bengio et al. 2013); a learned step has the
    gradient of Esser et al. 2020, eq. 3, scaled by ``1 / sqrt(n x q)`` (2.2) with ``n`` the values of one
    example (of one channel for weights that have a step each) and ``q`` the greatest level.

    Args:
        step: shared with whatever must lie on the same grid.
        zero_point: integers of the step's shape that stand for 0.
        low: the least integer.
        high: the greatest.
        axis: of the channels where the step has one entry each; ``None`` for a scalar.
        is_weight: its values have no batch dimension.
    """

    zero_point: Tensor

    def __init__(
        self, step: StepSize, zero_point: Tensor, low: int, high: int, *, axis: int | None, is_weight: bool
    ) -> None:
        super().__init__()
        self.step, self.low, self.high, self.axis, self.is_weight = step, low, high, axis, is_weight
        self.register_buffer("zero_point", zero_point.float(), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        """The values on the grid: float32, of the same shape."""
        return self.rounded(values, self.step())

    def rounded(self, values: Tensor, step: Tensor) -> Tensor:
        """The values on the grid of another step of the same shape."""
        aligned = self._aligned(step, values), self._aligned(self.zero_point, values)
        rounded: Tensor = _Rounding.apply(values, *aligned, self.low, self.high, self._gradient_scale(values))  # type: ignore[no-untyped-call]
        return rounded

    def integers(self, values: Tensor) -> Tensor:
        """The integers that `forward` computes with, int32: what an artifact stores."""
        with torch.no_grad():
            step, zero = self._aligned(self.step(), values), self._aligned(self.zero_point, values)
            return _codes(values, step, zero, self.low, self.high).to(torch.int32)

    def _aligned(self, entries: Tensor, values: Tensor) -> Tensor:
        if self.axis is None:
            return entries.reshape(())
        axis = self.axis % values.dim()
        return entries.reshape([-1 if at == axis else 1 for at in range(values.dim())])

    def _gradient_scale(self, values: Tensor) -> float:
        parts = 1
        if self.axis is not None:
            parts = values.shape[self.axis]
        elif not self.is_weight and values.dim():
            parts = values.shape[0]
        levels = max(self.high - float(self.zero_point.max()), float(self.zero_point.min()) - self.low, 1.0)
        return 1 / math.sqrt(max(values.numel() // max(parts, 1), 1) * levels)


class _Rounding(torch.autograd.Function):
    """The arithmetic of `FakeQuantizer`, with its gradients."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, step: Tensor, zero: Tensor, low: int, high: int, gradient_scale: float
    ) -> Tensor:
        codes = _codes(values, step, zero, low, high)
        rounded = (codes - zero) * step
        exact = values / step + zero
        is_inside = (exact >= low - 0.5) & (exact <= high + 0.5)  # what rounds into the range
        by_step = None
        if ctx.needs_input_grad[1]:
            by_step = torch.where(is_inside, (rounded - values) / step, codes - zero)
        ctx.save_for_backward(is_inside, by_step)
        ctx.step_shape, ctx.gradient_scale = step.shape, gradient_scale
        return rounded

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        is_inside, by_step = ctx.saved_tensors
        of_step = None
        if by_step is not None:
            of_step = (gradient * by_step).sum_to_size(ctx.step_shape) * ctx.gradient_scale
        return gradient * is_inside, of_step, None, None, None, None


def _codes(values: Tensor, step: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
    return ((values / step).round() + zero).clamp(low, high)


class Bias(nn.Module):
    """Rounds a bias to multiples of the input's step times the weight's, as int32 accumulators need it.

    Args:
        inputs: step of the layer's input.
        weights: of its weight, a scalar or one entry an output channel.
    """

    def __init__(self, inputs: StepSize, weights: StepSize) -> None:
        super().__init__()
        self.inputs, self.weights = inputs, weights

    def step(self) -> Tensor:
        """The product, without a gradient; of the weights' step's shape."""
        product: Tensor = self.inputs().reshape(()) * self.weights()
        return product.detach()

    def forward(self, values: Tensor) -> Tensor:
        """The rounded bias, float32, of the same shape; its gradient is passed straight through."""
        rounded = self.integers(values).float() * self.step()
        return values + (rounded - values).detach()

    def integers(self, values: Tensor) -> Tensor:
        """The int32 values, saturated."""
        limits = torch.iinfo(torch.int32)
        exact = (values.detach().double() / self.step().double()).round()
        return exact.clamp(limits.min, limits.max).to(torch.int32)


def _scaled_by(factor: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda gradient: gradient * factor
