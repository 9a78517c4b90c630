"""How much memory an artifact's activations take at once, by their liveness in the graph that really runs.

An input of the model lives as long as it is called, any other value from the operator that makes it to the
last that reads it. An operator that can write over its input does so if nobody needs that input any more; one
that changes the shape alone shares it. Weights that a call unpacks to float count while they are needed.
Stored weights do not (see `evaluators.packing`), nor does an operator's scratch space: for floats none was
seen, integer kernels took up to a quarter beyond.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx
import onnxruntime
from onnx import helper

from spaces import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evaluators.backends import Array

_VIEWS: Final = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})
_IN_PLACE: Final = frozenset(
    {
        "Relu",
        "Clip",
        "Add",
        "Mul",
        "Sub",
        "Div",
        "Sigmoid",
        "Tanh",
        "HardSwish",
        "HardSigmoid",
        "LeakyRelu",
        "Erf",
    }
    | {"Softmax", "Sqrt", "Gelu", "FastGelu", "BiasGelu", "QuickGelu", "Neg", "Exp"}
)
"""Operators that ONNX Runtime's kernels may run in place (``MayInplace`` in its CPU kernels' definitions)."""

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
    """

    reads: Sequence[str]
    makes: Mapping[str, int]
    shares: Sequence[str] = ()
    is_view: bool = False


def peak_memory_bytes(path: Path, feed: Mapping[str, Array], *, layouts: bool = True) -> int:
    """The most memory that inputs, outputs and activations take at once during a call.

    Args:
        path: of the artifact.
        feed: of the call; its batch counts.
        layouts: with the layouts and copies that ONNX Runtime chooses for this machine's vector units; false
            for a target that is another machine.

    Raises:
        DeploymentError: ONNX Runtime refuses the artifact or fails on the feed.
    """
    model = _optimized(path, layouts=layouts)
    sizes = _sizes(model, feed)
    stored = {item.name for item in model.graph.initializer}
    steps = [
        Step(
            [name for name in node.input if name],
            {name: sizes[name] for name in node.output if name},
            _shareable(node, sizes),
            node.op_type in _VIEWS,
        )
        for node in model.graph.node
    ]
    inputs = {name: array.nbytes for name, array in feed.items() if name not in stored}
    return peak_of(steps, inputs, {item.name for item in model.graph.output})


def peak_of(steps: Sequence[Step], inputs: Mapping[str, int], outputs: set[str]) -> int:
    """The most bytes alive at once.

    Args:
        steps: in the order of execution.
        inputs: bytes by name; alive throughout.
        outputs: names of what stays alive to the end.
    """
    last = {name: index for index, step in enumerate(steps) for name in step.reads}
    end = len(steps)
    owner = {name: name for name in inputs}  # of the memory that a value lies in
    size = dict(inputs)
    until = dict.fromkeys(inputs, end)
    alive = peak = sum(inputs.values())
    for index, step in enumerate(steps):
        for position, (name, count) in enumerate(step.makes.items()):
            dies = end if name in outputs else last.get(name, index)
            shared = None
            if position == 0:
                shared = _taken_over(step, index, count, owner, until, size, is_output=name in outputs)
            if shared is None:
                owner[name], size[name], until[name] = name, count, dies
                alive += count
            else:
                owner[name], until[shared] = shared, max(until[shared], dies)
        peak = max(peak, alive)
        ended = [name for name, when in until.items() if when <= index]
        for name in ended:
            alive -= size.pop(name)
            del until[name]
    return peak


def _taken_over(
    step: Step,
    index: int,
    count: int,
    owner: Mapping[str, str],
    until: Mapping[str, int],
    size: Mapping[str, int],
    *,
    is_output: bool,
) -> str | None:
    """The memory that a made value is written into; an output has its own, as the runtime hands it out."""
    for name in () if is_output else step.shares:
        memory = owner.get(name)
        if memory is None or memory not in until:
            continue
        if step.is_view or (until[memory] <= index and size[memory] == count):
            return memory
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


def _sizes(model: Any, feed: Mapping[str, Array]) -> dict[str, int]:
    """Bytes of every value, from a call that hands out all of them."""
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
    return {name: value.nbytes for name, value in zip(names, values, strict=True)}


def _session(model: str | bytes, options: Any) -> Any:
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise DeploymentError(f"ONNX Runtime refuses the artifact: {error}") from error
