"""Which layer the time of a call goes to: an artifact's latency, split by layer.

On a modelled target the kernels' times add up to the latency, so they are sorted by layer. On a measured one
ONNX Runtime tells the time of each node of the graph that a default session runs (``enable_profiling``); the
profiler itself costs small nodes about a microsecond each, so these are shares and no milliseconds.

Run as ``python -m evaluators.layer_latency``, so that whoever asks loads no runtime; speaks JSON lines.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
import onnxruntime

from compression import layer_of_node, output_layers
from evaluators.children import serve
from evaluators.modelled.graph_costs import read_costs
from evaluators.modelled.roofline import Roofline
from evaluators.targets import Target
from spaces import DeploymentError, TautenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evaluators.runtime import Array

WARM_UP_CALLS: Final = 10
PROFILED_S: Final = 0.5
FEWEST_CALLS: Final = 20
MOST_CALLS: Final = 500

FAST_HALF: Final = 0.5
"""Share of a node's calls that is averaged, the fast ones: load only ever adds time. The profiler counts
whole microseconds, so that a quantile alone would be too coarse for small nodes."""

_OF_NO_LAYER: Final = frozenset({"other", "quantize"})


def layer_shares(path: Path, target: Target) -> dict[str, float]:
    """Each layer's share of an artifact's latency.

    Args:
        path: an artifact whose nodes carry layer names.
        target: where it runs; a measured one is this host.

    Returns:
        Shares by module path, in the order of execution. What is missing to 1 goes to nodes that belong to no
        layer, such as pooling, additions and roundings, and, where it is modelled, to the call itself.

    Raises:
        DeploymentError: the runtime refuses the artifact, or tells no times of layers.
    """
    return modelled_shares(path, target) if target.is_modelled else profiled_shares(path, target)


def modelled_shares(path: Path, target: Target) -> dict[str, float]:
    """`layer_shares` by a target's figures."""
    roofline = Roofline(target)
    costs = read_costs(path, example_feed(path, target.batch), roofline.patterns)
    total_us = roofline.latency_ms(costs) * 1e3
    spent: dict[str, float] = defaultdict(float)
    for kernel in roofline.times(costs):
        if kernel.op not in _OF_NO_LAYER:
            spent[kernel.name] += roofline.kernel_us(kernel) / total_us
    return dict(spent)


def profiled_shares(path: Path, target: Target) -> dict[str, float]:
    """`layer_shares` by ONNX Runtime's own profiler."""
    if target.backend != "onnxruntime":
        raise DeploymentError(
            f"{target.backend} tells no times of single layers; targets of ONNX Runtime and modelled ones do"
        )
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        times = _node_times(path, target, scratch)
        nodes = onnx.load(scratch / "optimized.onnx").graph.node
    outputs = output_layers(onnx.load(path).graph)
    layer_by_node = {node.name: layer_of_node(node, outputs) for node in nodes}
    total_us = sum(times.values())
    spent: dict[str, float] = defaultdict(float)
    for name, us in times.items():
        layer = layer_by_node.get(name)
        if layer is not None:
            spent[layer] += us / total_us
    return dict(spent)


def example_feed(path: Path, batch: int) -> dict[str, Array]:
    """Inputs of the shapes that an artifact takes.

    Args:
        path: the artifact.
        batch: length of the first axis where the artifact leaves it open.

    Returns:
        Normal numbers, and ones where whole numbers are taken: valid as tokens, masks and positions.

    Raises:
        DeploymentError: another axis is dynamic.
    """
    graph = onnx.load(path, load_external_data=False).graph
    stored = {item.name for item in graph.initializer}
    random = np.random.default_rng(0)
    feed: dict[str, Array] = {}
    for item in graph.input:
        if item.name in stored:
            continue
        first, *others = (axis.dim_value for axis in item.type.tensor_type.shape.dim)
        if 0 in others:
            raise DeploymentError(f"input {item.name} of {path.name} has a dynamic axis beside the batch")
        shape = [first or batch, *others]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(item.type.tensor_type.elem_type)
        is_float = np.issubdtype(dtype, np.floating)
        feed[item.name] = random.standard_normal(shape).astype(dtype) if is_float else np.ones(shape, dtype)
    return feed


def _node_times(path: Path, target: Target, scratch: Path) -> dict[str, float]:
    """Microseconds of each node of the graph that runs, which is left as ``optimized.onnx``."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = target.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.optimized_model_filepath = str(scratch / "optimized.onnx")
    options.enable_profiling = True
    options.profile_file_prefix = str(scratch / "profile")
    feed = example_feed(path, target.batch)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        calls, until = 0, np.inf
        while calls < WARM_UP_CALLS + FEWEST_CALLS or (calls < MOST_CALLS and time.monotonic() < until):
            if calls == WARM_UP_CALLS:
                until = time.monotonic() + PROFILED_S
            session.run(None, feed)
            calls += 1
        report = Path(session.end_profiling())
    except Exception as error:  # the runtime's errors share no class
        raise DeploymentError(f"ONNX Runtime refuses the artifact: {error}") from error
    found: dict[str, list[float]] = defaultdict(list)
    for event in json.loads(report.read_text(encoding="utf-8")):
        name = event["name"]
        if event["cat"] == "Node" and name.endswith("_kernel_time"):
            found[name.removesuffix("_kernel_time")].append(float(event["dur"]))
    return {name: _fast_mean(times[WARM_UP_CALLS:]) for name, times in found.items()}


def _fast_mean(times: list[float]) -> float:
    kept = sorted(times)[: max(1, round(len(times) * FAST_HALF))]
    return sum(kept) / len(kept)


def _handle(request: Mapping[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
    try:
        shares = layer_shares(Path(request["artifact"]), Target.from_dict(request["target"]))
    except TautenError as error:
        answer({"error": str(error)})
    else:
        answer({"shares": shares})


if __name__ == "__main__":
    serve(_handle)
