"""What each layer really runs as: the optimized graph is written out by the runtime and read back.

Read with default session options, as a user's session has them: ONNX Runtime may quantize a layer that the
file holds in float, and may run in float what the file holds quantized. A layer whose format the file only
simulates says so itself, in its metadata; nothing else makes it so.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx
from onnx import TensorProto, helper

from compression import layer_of, layer_of_node, output_layers
from compression.quantization import LAYERS_KEY
from evaluators.runtime import open_session
from spaces import Capabilities, DeploymentError, LayerInfo, LayerPolicy, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIMULATED: Final = "simulated"

_INTEGER_KERNELS: Final[dict[str, str]] = {
    "QLinearConv": "int8",
    "QGemm": "int8",
    "QLinearMatMul": "int8",
    "ConvInteger": "int8-dynamic",
    "MatMulInteger": "int8-dynamic",
    "DynamicQuantizeMatMul": "int8-dynamic",
    "DynamicQuantizeLSTM": "int8-dynamic",
}
"""What an integer operator of ONNX Runtime computes in, by type (``kernels`` documentation, CPU provider)."""

_FLOAT_KERNELS: Final[dict[str, int]] = {
    "Conv": 1,
    "FusedConv": 1,
    "Gemm": 1,
    "FusedGemm": 1,
    "MatMul": 1,
    "FusedMatMul": 1,
    "LSTM": 1,
    "GRU": 1,
    "Gather": 0,
    "Slice": 0,
}
"""Float operators, and which of their inputs is the weight. A look-up of consecutive rows becomes a Slice."""

_CARRIERS: Final = frozenset({"DequantizeLinear", "Reshape", "Transpose", "Slice", "Cast"})
"""What may stand between a stored weight and its operator."""

_STORED: Final[dict[int, str]] = {
    TensorProto.INT8: "int8-weight",
    TensorProto.UINT8: "int8-weight",
    TensorProto.INT4: "int4-weight",
    TensorProto.UINT4: "int4-weight",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
}

_TABLES: Final = (":out", ":stored", ":quantized", ":half", ":float")
"""How the name of a folded look-up's constant ends."""

_ROUNDING_LEVEL: Final = 4
"""``accuracy_level`` from which MatMulNBits rounds the activations to 8 bits, block by block."""


def read_executed(path: Path) -> dict[str, str]:
    """The kernels that a default session runs for an artifact, by layer.

    Args:
        path: an artifact whose nodes carry layer names.

    Returns:
        A name such as ``int8`` by module path; ``mixed (…)`` where a layer's calls differ; ``simulated``
        where the file's metadata say that the layer's format is.

    Raises:
        DeploymentError: the runtime refuses the artifact.
    """
    with tempfile.TemporaryDirectory() as scratch:
        optimized = Path(scratch) / "optimized.onnx"
        open_session(path, optimized=optimized)
        graph = onnx.load(optimized).graph
    whole = onnx.load(path)
    read = _Kernels(graph)
    outputs = output_layers(whole.graph)
    found: dict[str, set[str]] = {}
    for node in graph.node:
        kernel = read.of(node)
        layer = layer_of_node(node, outputs)
        if kernel is not None and layer is not None:
            found.setdefault(layer, set()).add(kernel)
    for layer, kernel in read.folded().items():
        found.setdefault(layer, {kernel})
    declared = json.loads(_property(whole, LAYERS_KEY) or "{}")
    simulated = {layer for layer, facts in declared.items() if facts["simulated"]}
    return {layer: SIMULATED if layer in simulated else _merge(kernels) for layer, kernels in found.items()}


def simulates(path: Path) -> bool:
    """Some layer of an artifact computes in float what its format would compute in fewer bits."""
    declared = json.loads(_property(onnx.load(path, load_external_data=False), LAYERS_KEY) or "{}")
    return any(facts["simulated"] for facts in declared.values())


def check_executed(
    executed: Mapping[str, str],
    policy: Policy,
    layers: Iterable[LayerInfo],
    capabilities: Capabilities,
    *,
    may_simulate: bool = False,
) -> None:
    """Refuses an artifact that does not run as its policy says.

    Args:
        executed: of `read_executed`.
        policy: what was asked for.
        layers: of the model that was deployed.
        capabilities: of the target.
        may_simulate: the target is another machine, so that here a layer may run simulated what a kernel of
            the target computes.

    Raises:
        DeploymentError: names every layer that differs, what was asked and what runs.
    """
    faults = []
    for layer in layers:
        asked = capabilities.executed_as(layer.op, policy.layers.get(layer.name, LayerPolicy()))
        runs = executed.get(layer.name)
        if asked is None:
            faults.append(f"{layer.name}: the target has no kernel for what the policy asks")
        elif runs is None:
            faults.append(f"{layer.name}: asked {asked}, not found in the optimized graph")
        elif runs != asked and not (may_simulate and asked != "float32" and runs == SIMULATED):
            faults.append(f"{layer.name}: asked {asked}, runs as {runs}")
    if faults:
        raise DeploymentError("does not run as the policy says: " + "; ".join(faults))


class _Kernels:
    """Tells what the nodes of an optimized graph compute in."""

    def __init__(self, graph: Any) -> None:
        self._types = {item.name: item.data_type for item in graph.initializer}
        self._producers = {value: node for node in graph.node for value in node.output}
        self._readers = {value for node in graph.node for value in node.input}

    def of(self, node: Any) -> str | None:
        """The kernel's name, or ``None`` for an operator that has no weight."""
        if node.op_type == "MatMulNBits":
            return _blocks(node)
        if node.op_type == "MatMulIntegerToFloat":
            source = self._producers.get(node.input[0])
            is_dynamic = source is not None and source.op_type == "DynamicQuantizeLinear"
            return "int8-dynamic" if is_dynamic else "int8"
        if node.op_type in _FLOAT_KERNELS:
            return self._stored(node.input[_FLOAT_KERNELS[node.op_type]])
        return _INTEGER_KERNELS.get(node.op_type)

    def folded(self) -> dict[str, str]:
        """Layers whose operator was folded into a constant: tables that are read at fixed positions."""
        found = {}
        for name in sorted(self._types):
            layer = layer_of(name)
            if layer is not None and name in self._readers and name.endswith(_TABLES):
                found[layer] = _STORED.get(self._types[name], "float32")
        return found

    def _stored(self, value: str) -> str:
        while value not in self._types:
            node = self._producers.get(value)
            if node is None or node.op_type not in _CARRIERS:
                return "float32"
            value = node.input[0]
        return _STORED.get(self._types[value], "float32")


def _blocks(node: Any) -> str:
    facts = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    if facts.get("accuracy_level", 0) >= _ROUNDING_LEVEL:
        return "int8-dynamic"
    return f"int{facts['bits']}-weight"


def _property(model: Any, key: str) -> str | None:
    return next((item.value for item in model.metadata_props if item.key == key), None)


def _merge(kernels: set[str]) -> str:
    return next(iter(kernels)) if len(kernels) == 1 else f"mixed ({', '.join(sorted(kernels))})"
