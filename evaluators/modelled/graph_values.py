"""Runs an artifact with all that it computes on the way as outputs, so that no operator hides its shapes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime

from spaces import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evaluators.runtime import Array


def optimized_model(path: Path) -> Any:
    """The artifact with operators fused, for no CPU in particular.

    Raises:
        DeploymentError: the runtime refuses it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as scratch:
        options.optimized_model_filepath = str(Path(scratch) / "optimized.onnx")
        try:
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's errors share no class
            raise DeploymentError(f"ONNX Runtime refuses the artifact: {error}") from error
        return onnx.load(options.optimized_model_filepath)


def run_whole(model: Any, feed: Mapping[str, Array]) -> dict[str, Array]:
    """Every value of a graph for some inputs, by name.

    Raises:
        DeploymentError: the runtime fails on the inputs.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    known = {item.name for item in probe.graph.output}
    names = [name for node in probe.graph.node for name in node.output if name and name not in known]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        wanted = [item.name for item in session.get_outputs()]
        found = session.run(wanted, dict(feed))
    except Exception as error:
        raise DeploymentError(f"ONNX Runtime fails on the example inputs: {error}") from error
    return dict(feed) | {name: np.asarray(value) for name, value in zip(wanted, found, strict=True)}
