"""Operators that move, pick and make elements without computing on them (ONNX operators, opset 17)."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from compression.qat.operators.signature import Attributes, Inputs, Operator, optional, whole_numbers
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Mapping


def _concat(inputs: Inputs, attributes: Attributes) -> Tensor:
    return torch.cat(list(inputs), dim=attributes["axis"])


def _constant_of_shape(inputs: Inputs, attributes: Attributes) -> Tensor:
    fill = attributes.get("value")
    shape = whole_numbers(inputs[0])
    if fill is None:
        return torch.zeros(shape, device=inputs[0].device)
    value = torch.from_numpy(fill.copy()).to(inputs[0].device)
    return value.reshape(()).expand(shape).clone()


def _expand(inputs: Inputs, attributes: Attributes) -> Tensor:
    shape = np.broadcast_shapes(tuple(inputs[0].shape), tuple(whole_numbers(inputs[1])))
    expanded: Tensor = inputs[0].expand(shape)
    return expanded


def _flatten(inputs: Inputs, attributes: Attributes) -> Tensor:
    data: Tensor = inputs[0]
    axis = attributes.get("axis", 1)
    leading = data.shape[:axis].numel()
    return data.reshape(leading, -1) if leading else data.reshape(0, data.shape[axis:].numel())


def _gather(inputs: Inputs, attributes: Attributes) -> Tensor:
    data, indices = inputs
    axis = attributes.get("axis", 0) % data.dim()
    indices = torch.where(indices < 0, indices + data.shape[axis], indices)
    picked: Tensor = data.index_select(axis, indices.reshape(-1))
    return picked.reshape((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]))


def _gather_elements(inputs: Inputs, attributes: Attributes) -> Tensor:
    data, indices = inputs
    axis = attributes.get("axis", 0)
    return torch.gather(data, axis, torch.where(indices < 0, indices + data.shape[axis], indices))


def _pad(inputs: Inputs, attributes: Attributes) -> Tensor:
    if (mode := attributes.get("mode", b"constant")) not in {b"constant", b"reflect", b"edge"}:
        raise CompressionError(f"Pad of mode {mode.decode()!r} cannot be trained")
    data, pads = inputs[0], whole_numbers(inputs[1])
    rank = data.dim()
    axes = optional(inputs, 3)
    chosen = range(rank) if axes is None else [axis % rank for axis in whole_numbers(axes)]
    sides = {axis: (pads[index], pads[index + len(pads) // 2]) for index, axis in enumerate(chosen)}
    reversed_axes = [sides.get(axis, (0, 0)) for axis in reversed(range(rank))]
    if mode == b"constant":
        value = optional(inputs, 2)
        flat = list(itertools.chain.from_iterable(reversed_axes))
        return F.pad(data, flat, value=0.0 if value is None else float(value))
    while reversed_axes and reversed_axes[-1] == (0, 0):
        reversed_axes.pop()  # these modes of torch pad the last dimensions alone
    flat = list(itertools.chain.from_iterable(reversed_axes))
    return F.pad(data, flat, mode="reflect" if mode == b"reflect" else "replicate")


def _range(inputs: Inputs, attributes: Attributes) -> Tensor:
    start, limit, delta = (value.item() for value in inputs)
    return torch.arange(start, limit, delta, dtype=inputs[0].dtype, device=inputs[0].device)


def _reshape(inputs: Inputs, attributes: Attributes) -> Tensor:
    data: Tensor = inputs[0]
    shape = whole_numbers(inputs[1])
    if not attributes.get("allowzero"):  # zero copies the size that is there
        shape = [data.shape[index] if size == 0 else size for index, size in enumerate(shape)]
    return data.reshape(shape)


def _shape(inputs: Inputs, attributes: Attributes) -> Tensor:
    shape = inputs[0].shape[attributes.get("start", 0) : attributes.get("end")]
    return torch.tensor(shape, dtype=torch.int64, device=inputs[0].device)


def _slice(inputs: Inputs, attributes: Attributes) -> Tensor:
    data: Tensor = inputs[0]
    starts, ends = whole_numbers(inputs[1]), whole_numbers(inputs[2])
    given, steps_given = optional(inputs, 3), optional(inputs, 4)
    axes = list(range(len(starts))) if given is None else whole_numbers(given)
    steps = [1] * len(starts) if steps_given is None else whole_numbers(steps_given)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        chosen = range(data.shape[axis])[start:end:step]
        if step == 1:
            data = data.narrow(axis, chosen.start if chosen else 0, len(chosen))
        else:
            picked = torch.tensor(list(chosen), dtype=torch.int64, device=data.device)
            data = data.index_select(axis, picked)
    return data


def _split(inputs: Inputs, attributes: Attributes) -> tuple[Tensor, ...]:
    axis, given = attributes.get("axis", 0), optional(inputs, 1)
    if given is not None:
        return tuple(torch.split(inputs[0], whole_numbers(given), dim=axis))
    count = attributes.get("num_outputs", attributes["outputs"])
    size = -(-inputs[0].shape[axis] // count)
    return tuple(torch.split(inputs[0], size, dim=axis))


def _squeeze(inputs: Inputs, attributes: Attributes) -> Tensor:
    axes = optional(inputs, 1)
    squeezed: Tensor = inputs[0].squeeze() if axes is None else inputs[0].squeeze(tuple(whole_numbers(axes)))
    return squeezed


def _transpose(inputs: Inputs, attributes: Attributes) -> Tensor:
    order = attributes.get("perm", list(reversed(range(inputs[0].dim()))))
    moved: Tensor = inputs[0].permute(order)
    return moved


def _trilu(inputs: Inputs, attributes: Attributes) -> Tensor:
    diagonal = optional(inputs, 1)
    shift = 0 if diagonal is None else int(diagonal)
    return torch.triu(inputs[0], shift) if attributes.get("upper", 1) else torch.tril(inputs[0], shift)


def _unsqueeze(inputs: Inputs, attributes: Attributes) -> Tensor:
    data: Tensor = inputs[0]
    axes = whole_numbers(inputs[1])
    rank = data.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        data = data.unsqueeze(axis)
    return data


SHAPES: Final[Mapping[str, Operator]] = {
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "CumSum": lambda inputs, attributes: torch.cumsum(inputs[0], int(inputs[1])),
    "Dropout": lambda inputs, attributes: inputs[0],
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda inputs, attributes: inputs[0].repeat(whole_numbers(inputs[1])),
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
"""By ONNX operator type."""
