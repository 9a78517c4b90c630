"""From a PyTorch model to a float ONNX file whose nodes carry the layers' names. Quantizes nothing."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from compression.graph import label_layers, label_outputs, label_recurrent
from compression.tracing import WEIGHT_LAYERS, trace
from spaces import WorkloadError

if TYPE_CHECKING:
    from compression.workload import Workload

OPSET: Final = 17
"""ONNX operator set of every artifact."""

_RECURRENT: Final = (nn.LSTM, nn.GRU)
_LABELLED: Final = (*WEIGHT_LAYERS, nn.Embedding, *_RECURRENT)


def export_float(model: nn.Module, workload: Workload, path: Path) -> None:
    """Writes the fp32 artifact of a model: batch dimension free, BatchNorm folded, nodes named after layers.

    Args:
        model: in eval mode.
        workload: for example inputs.
        path: the file to write.

    Raises:
        WorkloadError: the model cannot be exported; the message has the exporter's reason in one line.
    """
    inputs = workload.example_inputs()
    with tempfile.TemporaryDirectory() as scratch:
        raw = Path(scratch) / "raw.onnx"
        try:
            _export(model, inputs, raw)
            graph_file = onnx.load(raw)
            calls = trace(model, inputs, lambda module: isinstance(module, _LABELLED))
        except Exception as error:  # the exporter raises what the user's forward raises, and much else
            raise WorkloadError(
                f"workload {workload.name!r}: the model cannot be exported: {one_line(error)}"
            ) from error
        is_recurrent = [isinstance(call.module, _RECURRENT) for call in calls]
        weights = [
            (call.name, call.weight) for call, skip in zip(calls, is_recurrent, strict=True) if not skip
        ]
        label_layers(graph_file.graph, weights)
        stacked: list[tuple[str, Any]] = [
            (call.name, call.module.num_layers)
            for call, wanted in zip(calls, is_recurrent, strict=True)
            if wanted
        ]
        if stacked:
            label_recurrent(graph_file.graph, stacked)
        onnx.save(graph_file, raw)
        folded = Path(scratch) / "folded.onnx"
        try:
            _fold(raw, folded)
        except Exception as error:
            raise WorkloadError(
                f"workload {workload.name!r}: ONNX Runtime refuses it: {one_line(error)}"
            ) from error
        graph_file = onnx.load(folded)
    label_outputs(graph_file.graph)
    onnx.save(graph_file, path)


def one_line(error: BaseException) -> str:
    """An error's type and first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def input_names(count: int) -> list[str]:
    """Names of the artifact's inputs, in the order of `Workload.example_inputs`."""
    return ["input"] if count == 1 else [f"input_{index}" for index in range(count)]


def _export(model: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    names: list[str] = input_names(len(inputs))
    axes: dict[str, Any] = {name: {0: "batch"} for name in (*names, "output")}
    with warnings.catch_warnings(), torch.no_grad():
        # The TorchScript exporter warns that it is the older one; it takes 0.2 s where the other takes 3 s.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            inputs,
            str(path),
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["output"],
            dynamic_axes=axes,
            # Both keep parameters under their own names: neither BatchNorm nor transposes are folded here.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
        )


def _fold(source: Path, path: Path) -> None:
    """Hardware-independent optimization: BatchNorm into convolutions, transposes into weights."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
