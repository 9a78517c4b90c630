"""What an operator of the tables is: a function of its inputs and attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from torch import Tensor

Inputs = Sequence[Any]
"""One entry an input in the node's order: a tensor, or ``None`` where the optional input is left out."""

Attributes = Mapping[str, Any]
"""Attributes by name: numbers, strings, lists and arrays."""

Operator = Callable[[Inputs, Attributes], Union["Tensor", "tuple[Tensor, ...]"]]
"""Computes the outputs of a node; differentiable wherever the ONNX operator is."""


def optional(inputs: Inputs, index: int) -> Any:
    """An input that may be left out at the end or in between: the tensor, or ``None``."""
    return inputs[index] if len(inputs) > index else None


def whole_numbers(tensor: Tensor) -> list[int]:
    """The entries of a tensor of integers, such as a shape or axes."""
    return [int(value) for value in tensor.reshape(-1).tolist()]
