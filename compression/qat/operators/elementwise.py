"""Operators that work on each element, comparisons and casts (ONNX operators, opset 17)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import onnx
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from compression.qat.operators.signature import Attributes, Inputs, Operator, optional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TYPES: Final[dict[int, torch.dtype]] = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.BFLOAT16: torch.bfloat16,
    onnx.TensorProto.DOUBLE: torch.float64,
    onnx.TensorProto.BOOL: torch.bool,
    onnx.TensorProto.UINT8: torch.uint8,
    onnx.TensorProto.INT8: torch.int8,
    onnx.TensorProto.INT16: torch.int16,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
}


def _of(function: Callable[..., Any]) -> Operator:
    """An operator whose inputs are the function's arguments and that has no attributes."""
    return lambda inputs, attributes: function(*inputs)


def _across(function: Callable[[Any, Any], Any]) -> Operator:
    """An operator that takes any number of inputs, two at a time."""
    return lambda inputs, attributes: functools.reduce(function, inputs)


def _divide(left: Tensor, right: Tensor) -> Tensor:
    if left.is_floating_point():
        return left / right
    return torch.div(left, right, rounding_mode="trunc")  # integers are truncated, as in C


def _clip(inputs: Inputs, attributes: Attributes) -> Tensor:
    low, high = optional(inputs, 1), optional(inputs, 2)
    clipped: Tensor = inputs[0]
    if low is not None:
        clipped = torch.maximum(clipped, low)
    return clipped if high is None else torch.minimum(clipped, high)


def _cast(inputs: Inputs, attributes: Attributes) -> Tensor:
    wanted = _TYPES[attributes["to"]]
    given: Tensor = inputs[0]
    # The integers of `integers.py` are floats with gradients; a float that is asked for is already there.
    return given if given.dtype == wanted else given.to(wanted)


def _gelu(inputs: Inputs, attributes: Attributes) -> Tensor:
    approximate = attributes.get("approximate", b"none").decode()
    activated: Tensor = F.gelu(inputs[0], approximate=approximate)
    return activated


def _hard_sigmoid(inputs: Inputs, attributes: Attributes) -> Tensor:
    line: Tensor = inputs[0] * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5)
    return line.clamp(0, 1)


def _round(inputs: Inputs, attributes: Attributes) -> Tensor:
    """To the nearest integer, half to even; the gradient is passed straight through."""
    given: Tensor = inputs[0]
    return given + (given.round() - given).detach()


def _prelu(inputs: Inputs, attributes: Attributes) -> Tensor:
    return torch.where(inputs[0] >= 0, inputs[0], inputs[0] * inputs[1])


ELEMENTWISE: Final[Mapping[str, Operator]] = {
    "Abs": _of(torch.abs),
    "Add": _of(torch.add),
    "And": _of(torch.logical_and),
    "Cast": _cast,
    "Ceil": _of(torch.ceil),
    "Clip": _clip,
    "Cos": _of(torch.cos),
    "Div": _of(_divide),
    "Elu": lambda inputs, attributes: F.elu(inputs[0], attributes.get("alpha", 1.0)),
    "Equal": _of(torch.eq),
    "Erf": _of(torch.erf),
    "Exp": _of(torch.exp),
    "Floor": _of(torch.floor),
    "Gelu": _gelu,
    "Greater": _of(torch.gt),
    "GreaterOrEqual": _of(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _of(F.hardswish),
    "Identity": _of(lambda given: given),
    "IsNaN": _of(torch.isnan),
    "LeakyRelu": lambda inputs, attributes: F.leaky_relu(inputs[0], attributes.get("alpha", 0.01)),
    "Less": _of(torch.lt),
    "LessOrEqual": _of(torch.le),
    "Log": _of(torch.log),
    "LogSoftmax": lambda inputs, attributes: torch.log_softmax(inputs[0], attributes.get("axis", -1)),
    "Max": _across(torch.maximum),
    "Min": _across(torch.minimum),
    "Mod": _of(torch.remainder),
    "Mul": _of(torch.mul),
    "Neg": _of(torch.neg),
    "Not": _of(torch.logical_not),
    "Or": _of(torch.logical_or),
    "PRelu": _prelu,
    "Pow": _of(torch.pow),
    "QuickGelu": lambda inputs, attributes: (
        inputs[0] * torch.sigmoid(attributes.get("alpha", 1.702) * inputs[0])
    ),
    "Reciprocal": _of(torch.reciprocal),
    "Relu": _of(torch.relu),
    "Round": _round,
    "Sigmoid": _of(torch.sigmoid),
    "Sign": _of(torch.sign),
    "Sin": _of(torch.sin),
    "Softmax": lambda inputs, attributes: torch.softmax(inputs[0], attributes.get("axis", -1)),
    "Softplus": _of(F.softplus),
    "Sqrt": _of(torch.sqrt),
    "Sub": _of(torch.sub),
    "Sum": _across(torch.add),
    "Tanh": _of(torch.tanh),
    "Where": _of(torch.where),
    "Xor": _of(torch.logical_xor),
}
"""By ONNX operator type."""
