"""What each layer really runs as: the optimized graph is written out by the runtime and read back.

Read with default session options, as a user's session has them: ONNX Runtime may quantize a layer that the
file holds in float, and may run in float what the file holds quantized.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import onnx

from compression import layer_of_node, output_layers
from evaluators.runtime import open_session
from spaces import Capabilities, DeploymentError, LayerInfo, LayerPolicy, Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_KERNELS: Final[dict[str, str]] = {
    "Conv": "float32",
    "FusedConv": "float32",
    "Gemm": "float32",
    "FusedGemm": "float32",
    "MatMul": "float32",
    "FusedMatMul": "float32",
    "QLinearConv": "int8",
    "QGemm": "int8",
    "QLinearMatMul": "int8",
    "ConvInteger": "int8-dynamic",
    "MatMulInteger": "int8-dynamic",
    "MatMulIntegerToFloat": "int8-dynamic",
    "DynamicQuantizeMatMul": "int8-dynamic",
    "MatMulNBits": "int4-weight",
}
"""What a weight operator of ONNX Runtime computes in, by type (``kernels`` documentation, CPU provider)."""


def read_executed(path: Path) -> dict[str, str]:
    """The kernels that a default session runs for an artifact, by layer.

    Args:
        path: an artifact whose nodes carry layer names.

    Returns:
        A name such as ``int8`` by module path; ``mixed (…)`` where a layer's calls differ.

    Raises:
        DeploymentError: the runtime refuses the artifact.
    """
    with tempfile.TemporaryDirectory() as scratch:
        optimized = Path(scratch) / "optimized.onnx"
        open_session(path, optimized=optimized)
        nodes = list(onnx.load(optimized).graph.node)
    outputs = output_layers(onnx.load(path).graph)
    found: dict[str, set[str]] = {}
    for node in nodes:
        kernel = _kernel(node)
        layer = layer_of_node(node, outputs)
        if kernel is not None and layer is not None:
            found.setdefault(layer, set()).add(kernel)
    return {layer: _merge(kernels) for layer, kernels in found.items()}


def check_executed(
    executed: Mapping[str, str], policy: Policy, layers: Iterable[LayerInfo], capabilities: Capabilities
) -> None:
    """Refuses an artifact that does not run as its policy says.

    Args:
        executed: of `read_executed`.
        policy: what was asked for.
        layers: of the model that was deployed.
        capabilities: of the target.

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
        elif runs != asked:
            faults.append(f"{layer.name}: asked {asked}, runs as {runs}")
    if faults:
        raise DeploymentError("does not run as the policy says: " + "; ".join(faults))


def _kernel(node: Any) -> str | None:
    return _KERNELS.get(node.op_type)


def _merge(kernels: set[str]) -> str:
    return next(iter(kernels)) if len(kernels) == 1 else f"mixed ({', '.join(sorted(kernels))})"
