"""Bias correction: the mean error that quantization makes at a layer's outputs goes into its bias."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import onnx
import torch

from compression.graph import WEIGHT_OPS, layer_of
from compression.qat.examples import calibration_examples
from compression.qat.graph_module import GraphModule
from compression.qat.writing import write_back
from compression.quantization import LAYERS_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

    from compression.workload import Workload


@dataclass(frozen=True, slots=True)
class _Corrected:
    """A layer's call that is corrected.

    Attributes:
        value: its output in the quantized graph, before any activation function.
        reference: its output in the float graph.
        bias: the initializer that is added to it.
        axis: of the channels.
    """

    value: str
    reference: str
    bias: str
    axis: int


def correct_bias(float_path: Path, quantized_path: Path, workload: Workload) -> None:
    """Corrects the biases of quantized layers of an artifact from data (Nagel et al. 2019, 4.2 and app. D).

    Layers are corrected in the order of execution, each with those before it corrected: its bias gets the
    mean over examples and positions of what the float model computes there minus what the artifact computes.
    Layers without a bias, or whose bias several calls share, stay as they are.

    Args:
        float_path: the float ONNX file that the artifact was quantized from.
        quantized_path: the artifact; written anew, aside and renamed.
        workload: for its calibration split, of which `examples.EXAMPLES` are read.

    Raises:
        CompressionError: the artifact holds an operator or a format that has no torch counterpart.
        WorkloadError: the calibration split is empty, or reading it fails.
    """
    whole, model = onnx.load(float_path), onnx.load(quantized_path)
    inputs = calibration_examples(workload, "bias correction")
    chosen = _corrected(whole.graph, model)
    means = _means(GraphModule(whole), inputs, chosen)
    module = GraphModule(model)

    def correct(value: str, computed: Tensor) -> Tensor:
        item = chosen.get(value)
        if item is None:
            return computed
        error = means[value] - _mean(computed, item.axis)
        bias = module.tensor(item.bias)
        bias.add_(error.reshape(bias.shape))
        shape = [1] * computed.dim()
        shape[item.axis] = -1
        return computed + error.reshape(shape)

    with torch.no_grad():
        module.run(inputs, correct)
    write_back(module, model)
    written = quantized_path.with_name(f".corrected-{quantized_path.name}")
    try:
        onnx.save(model, written)
        written.replace(quantized_path)
    finally:
        written.unlink(missing_ok=True)


def _means(
    module: GraphModule, inputs: tuple[Tensor, ...], chosen: Mapping[str, _Corrected]
) -> dict[str, Tensor]:
    """The float model's mean at each chosen output, by the quantized graph's name for it."""
    waiting = {item.reference: item for item in chosen.values()}
    means: dict[str, Tensor] = {}

    def see(value: str, computed: Tensor) -> Tensor:
        if value in waiting:
            means[waiting[value].value] = _mean(computed, waiting[value].axis)
        return computed

    with torch.no_grad():
        module.run(inputs, see)
    return means


def _mean(computed: Tensor, axis: int) -> Tensor:
    kept = axis % computed.dim()
    return computed.double().mean([at for at in range(computed.dim()) if at != kept]).float()


def _corrected(whole: Any, model: Any) -> dict[str, _Corrected]:
    """The calls to correct, by output in the quantized graph."""
    graph = model.graph
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    quantized = json.loads(metadata[LAYERS_KEY]) if LAYERS_KEY in metadata else None
    named = {node.name: node for node in graph.node if node.op_type in WEIGHT_OPS}
    producers = {value: node for node in graph.node for value in node.output}
    found = {}
    for node in whole.node:
        layer = layer_of(node.name)
        if (
            node.op_type not in WEIGHT_OPS
            or layer is None
            or (quantized is not None and layer not in quantized)
        ):
            continue
        # Integer operators of dynamic layers give sums; their real outputs keep the float graph's name.
        value = named[node.name].output[0] if node.name in named else node.output[0]
        bias = _bias(value, graph, producers)
        if bias is not None:
            found[value] = _Corrected(value, node.output[0], bias, 1 if node.op_type == "Conv" else -1)
    return found


def _bias(value: str, graph: Any, producers: Mapping[str, Any]) -> str | None:
    """The initializer, used once, that is a bias in a value or is added to it next."""
    stored = {item.name: item for item in graph.initializer}
    uses: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)

    def own(name: str) -> str | None:
        """An initializer behind a value that nobody else reads."""
        if (
            len(uses.get(name, ())) == 1
            and name in producers
            and producers[name].op_type == "DequantizeLinear"
        ):
            name = producers[name].input[0]
        is_vector = name in stored and max(stored[name].dims, default=1) > 1
        return name if is_vector and len(uses[name]) == 1 else None

    producer = producers.get(value)
    if producer is None:
        return None
    if producer.op_type in {"Conv", "Gemm"} and len(producer.input) > 2:  # noqa: PLR2004
        return own(producer.input[2])
    follower, reached = producer, value
    while follower.op_type != "Add":
        if len(uses.get(reached, ())) != 1:
            return None
        follower = uses[reached][0]
        if follower.op_type not in {"Add", "QuantizeLinear", "DequantizeLinear"}:
            return None
        reached = follower.output[0]
    return next((name for name in map(own, follower.input) if name is not None), None)
