"""PyTorch on the artifact's own graph: floats that are rounded where the file says so, and no integer kernel.

It says what a policy does to accuracy where no runtime of this machine has its kernels; its latency is
nobody's.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import onnx
import torch

from compression import layer_of, output_layers
from compression.graph import LAYER_OPS
from compression.qat import GraphModule
from compression.quantization import LAYERS_KEY
from evaluators.backends.backend import Array, Input, check_feed, first_line
from evaluators.threads import thread_count
from spaces import CompressionError, DeploymentError, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from evaluators.backends.backend import Session


class TorchSimulation:
    """The backend; see `evaluators.backends.DeploymentBackend`."""

    method = Method.SIMULATED

    def open(self, path: Path, threads: int = 1) -> Session:
        """Makes a module of the graph; an operator without a counterpart in PyTorch is refused by name."""
        model = _load(path)
        try:
            module = GraphModule(model).eval()
        except CompressionError as error:
            raise DeploymentError(f"PyTorch cannot simulate the artifact: {error}") from error
        return _TorchSession(module, _inputs(model.graph), threads)

    def executed_as(self, path: Path) -> dict[str, str]:
        """``simulated`` for every layer that the file's metadata name, ``float32`` for the others."""
        model = _load(path)
        declared = {item.key: item.value for item in model.metadata_props}.get(LAYERS_KEY, "{}")
        outputs = output_layers(model.graph)
        named = (layer_of(node.name) for node in model.graph.node if node.op_type in LAYER_OPS)
        layers = {layer for layer in (*named, *outputs.values()) if layer is not None}
        quantized = set(json.loads(declared))
        return {
            layer: "simulated" if layer in quantized else "float32" for layer in sorted(layers | quantized)
        }


class _TorchSession:
    def __init__(self, module: GraphModule, inputs: tuple[Input, ...], threads: int) -> None:
        self._module: GraphModule | None = module
        self.inputs = inputs
        self._threads = threads

    def prepare(self, feed: Mapping[str, Array]) -> Callable[[], Any]:
        if self._module is None:
            raise DeploymentError("the session is closed")
        check_feed(self.inputs, feed)
        tensors = [torch.from_numpy(feed[item.name].copy()) for item in self.inputs]
        return partial(_call, self._module, tensors, self._threads)

    def run(self, feed: Mapping[str, Array]) -> Array:
        call = self.prepare(feed)
        try:
            return call()  # type: ignore[no-any-return]
        except (RuntimeError, CompressionError) as error:
            raise DeploymentError(f"PyTorch fails: {first_line(error)}") from error

    def close(self) -> None:
        self._module = None


def _call(module: GraphModule, tensors: list[torch.Tensor], threads: int) -> Array:
    with thread_count(threads), torch.inference_mode():
        array: Array = module.run(tensors)[0].numpy()
    return array


def _load(path: Path) -> Any:
    try:
        return onnx.load(path)
    except Exception as error:  # a damaged file raises what protobuf raises, an absent one OSError
        raise DeploymentError(
            f"PyTorch refuses the artifact: {path.name} is no ONNX file: {error}"
        ) from error


def _inputs(graph: Any) -> tuple[Input, ...]:
    stored = {item.name for item in graph.initializer}
    return tuple(
        Input.read(item.name, [_size(dim) for dim in item.type.tensor_type.shape.dim])
        for item in graph.input
        if item.name not in stored
    )


def _size(dim: Any) -> int | str:
    return int(dim.dim_value) if dim.HasField("dim_value") else str(dim.dim_param)
