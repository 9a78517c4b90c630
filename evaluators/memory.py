"""How much memory an artifact's activations take at once, by their liveness in the graph that really runs.

An input of the model lives as long as it is called, any other value from the operator that makes it to the
last that reads it. An operator that can write over its input does so if nobody needs that input any more; one
that changes the shape alone shares it. On this machine, memory that the runtime will use again for a value
of the same shape is held in between, as its planner does, and what integer kernels allocate while they run
counts (see `evaluators.scratch`). Weights that a call unpacks to float count while they are needed; stored
weights do not (see `evaluators.packing`).
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx
import onnxruntime
from onnx import helper

from evaluators.scratch import Node, scratch_bytes
from spaces import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from evaluators.backends import Array

_VIEWS: Final = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})
_IN_PLACE: Final = frozenset(
    {"Relu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "LeakyRelu", "Softmax", "Softsign"}
)
"""Operators that ONNX Runtime 1.32 runs in place, by the memory of sessions of a few of them in a row; sums
and products of two values, roots, exponentials and GELU are not, whatever their kernels would allow."""

_ADDING: Final = frozenset({"Conv", "FusedConv"})
_ADDEND: Final = 3
"""A fused convolution adds to this input, in place."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operator, by the values that it reads and makes.

    Attributes:
        reads: names; values that are not counted (weights) may be among them.
        makes: bytes by name.
        shares: the name of the read value whose memory the first made value takes over, if it is alive no
            longer or the operator is a view.
        is_view: the made value is the read one under another shape.
        scratch: bytes that are allocated while it runs, and no longer.
    """

    reads: Sequence[str]
    makes: Mapping[str, int]
    shares: Sequence[str] = ()
    is_view: bool = False
    scratch: int = 0


def peak_memory_bytes(path: Path, feed: Mapping[str, Array], *, layouts: bool = True) -> int:
    """The most memory that inputs, outputs and activations take at once during a call.

    Args:
        path: of the artifact.
        feed: of the call; its batch counts.
        layouts: with the layouts, copies and scratch space that ONNX Runtime has on this machine; false for a
            target that is another one.

    Raises:
        DeploymentError: ONNX Runtime refuses the artifact or fails on the feed.
    """
    model = _optimized(path, layouts=layouts)
    values = _values(model, feed)
    sizes = {name: size for name, (size, _) in values.items()}
    stored = {item.name: item for item in model.graph.initializer}
    shapes = {name: tuple(item.dims) for name, item in stored.items()}
    shapes |= {name: shape for name, (_, shape) in values.items()}
    steps = [
        Step(
            [name for name in node.input if name],
            {name: sizes[name] for name in node.output if name},
            _shareable(node, sizes),
            node.op_type in _VIEWS,
            scratch_bytes(Node(node, shapes, stored)) if layouts else 0,
        )
        for node in model.graph.node
    ]
    inputs = {name: array.nbytes for name, array in feed.items() if name not in stored}
    outputs = {item.name for item in model.graph.output}
    # shapes are inferred before the model runs, with a name for the batch: what is alike now is planned alike
    return peak_of(steps, inputs, outputs, values if layouts else None)


def peak_of(
    steps: Sequence[Step],
    inputs: Mapping[str, int],
    outputs: set[str],
    kinds: Mapping[str, Hashable] | None = None,
) -> int:
    """The most bytes alive at once.

    Args:
        steps: in the order of execution.
        inputs: bytes by name; alive throughout.
        outputs: names of what stays alive to the end.
        kinds: values of one kind are as large as each other for certain, so that a later one is planned into
            the memory of an earlier one that is needed no more, which is kept until then; a value without a
            kind, or every value where ``None``, gets memory of its own and leaves it when it dies.
    """
    last = {name: index for index, step in enumerate(steps) for name in step.reads}
    end = len(steps)
    blocks = [_Block(count, 0, end) for count in inputs.values()]
    owner = dict(zip(inputs, blocks, strict=True))  # the memory that a value lies in
    idle: list[tuple[Hashable, _Block]] = []  # whose last value is needed no more, the latest first
    for index, step in enumerate(steps):
        for position, (name, count) in enumerate(step.makes.items()):
            is_output = name in outputs
            dies = end if is_output else last.get(name, index)
            block = _taken_over(step, index, count, owner, is_output=is_output) if position == 0 else None
            if block is None and not is_output:
                block = _reused(idle, None if kinds is None else kinds.get(name))
            if block is None:
                block = _Block(count, index, dies)
                blocks.append(block)
            block.until = max(block.until, dies)
            owner[name] = block
        for name in dict.fromkeys((*step.reads, *step.makes)):
            block = owner.get(name)
            kind = None if kinds is None else kinds.get(name)
            if block is not None and block.until == index and kind is not None:
                idle = [(kind, block), *((k, other) for k, other in idle if other is not block)]
    return max((_alive(blocks, index) + step.scratch for index, step in enumerate(steps)), default=0)


@dataclass(slots=True)
class _Block:
    """A piece of memory, from the step that takes it to the last that needs it."""

    size: int
    since: int
    until: int


def _alive(blocks: Sequence[_Block], index: int) -> int:
    return sum(block.size for block in blocks if block.since <= index <= block.until)


def _reused(idle: list[tuple[Hashable, _Block]], kind: Hashable | None) -> _Block | None:
    """The memory of a kind that became idle last, which is idle no longer."""
    for position, (other, block) in enumerate(idle):
        if kind is not None and other == kind:
            del idle[position]
            return block
    return None


def _taken_over(
    step: Step, index: int, count: int, owner: Mapping[str, _Block], *, is_output: bool
) -> _Block | None:
    """The memory that a made value is written into; an output has its own, as the runtime hands it out."""
    for name in () if is_output else step.shares:
        block = owner.get(name)
        if block is not None and (step.is_view or (block.until <= index and block.size == count)):
            return block
    return None


def _shareable(node: Any, sizes: Mapping[str, int]) -> tuple[str, ...]:
    if node.op_type in _VIEWS:
        return (node.input[0],)
    if node.op_type in _ADDING and len(node.input) > _ADDEND:
        return (node.input[_ADDEND],)
    return tuple(node.input) if node.op_type in _IN_PLACE else ()


def _optimized(path: Path, *, layouts: bool) -> Any:
    """The graph that runs."""
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if layouts else levels.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as scratch:
        optimized = Path(scratch) / "optimized.onnx"
        options.optimized_model_filepath = str(optimized)
        _session(str(path), options)
        return onnx.load(optimized)


def _values(model: Any, feed: Mapping[str, Array]) -> dict[str, tuple[int, tuple[int, ...]]]:
    """Bytes and shape of every value, from a call that hands out all of them."""
    names = [name for node in model.graph.node for name in node.output if name]
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    known = {item.name for item in model.graph.output}
    whole.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in known
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = _session(whole.SerializeToString(), options)
    try:
        values = session.run(names, dict(feed))
    except Exception as error:  # the runtime's errors share no class
        raise DeploymentError(f"ONNX Runtime fails on the example inputs: {error}") from error
    found = {name: (array.nbytes, array.shape) for name, array in feed.items()}
    return found | {name: (value.nbytes, value.shape) for name, value in zip(names, values, strict=True)}


def _session(model: str | bytes, options: Any) -> Any:
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise DeploymentError(f"ONNX Runtime refuses the artifact: {error}") from error
