"""What each kernel of an artifact multiplies and moves, read from the graph as ONNX Runtime fuses it.

The artifact is optimized up to, and not including, what depends on this host's CPU, so that what one kernel
does on a deployed graph is counted once: an activation, a normalization or a residual sum inside a
convolution costs nothing of its own. Shapes come from one run with all intermediate results as outputs, which
no operator escapes. Knows no target.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import onnx
from onnx import numpy_helper

from compression import layer_of_node, output_layers
from compression.quantization import LAYERS_KEY
from evaluators.modelled.graph_values import optimized_model, run_whole
from spaces import FLOAT_BITS, n_of_m

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from evaluators.runtime import Array

_PRODUCTS: Final = {
    "Conv": 1,
    "FusedConv": 1,
    "Gemm": 1,
    "FusedGemm": 1,
    "MatMul": 1,
    "FusedMatMul": 1,
    "MatMulNBits": 1,
    "QLinearConv": 3,
    "QGemm": 3,
    "QLinearMatMul": 3,
    "ConvInteger": 1,
    "MatMulInteger": 1,
    "MatMulIntegerToFloat": 1,
    "DynamicQuantizeMatMul": 1,
    "LSTM": 1,
    "GRU": 1,
    "DynamicQuantizeLSTM": 1,
    "Attention": 1,
    "QAttention": 1,
}
"""Operators that multiply matrices, and which input is the weight, or the second factor."""

_INTEGER: Final = frozenset(
    {
        "QLinearConv",
        "QGemm",
        "QLinearMatMul",
        "ConvInteger",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul",
        "DynamicQuantizeLSTM",
        "QAttention",
    }
)
_CONVOLUTIONS: Final = frozenset({"Conv", "FusedConv", "QLinearConv", "ConvInteger"})
_MATRICES: Final = frozenset(
    {
        "Gemm",
        "FusedGemm",
        "MatMul",
        "FusedMatMul",
        "QGemm",
        "QLinearMatMul",
        "MatMulInteger",
        "MatMulIntegerToFloat",
    }
)
_ATTENTION: Final = frozenset({"Attention", "QAttention"})
"""A whole attention, with the weights of queries, keys and values side by side."""

_RECURRENT: Final = {"LSTM": "lstm", "GRU": "gru", "DynamicQuantizeLSTM": "lstm"}
_QUANTIZE: Final = frozenset({"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"})
_FREE: Final = frozenset(
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Shape", "Constant", "ConstantOfShape", "Size"}
)
"""Operators that move nothing: they change how the same memory is seen."""

_BITS_PER_BYTE: Final = 8


@dataclass(frozen=True, slots=True)
class KernelCost:
    """What one kernel does in a call of the model.

    Attributes:
        name: the layer's module path, or the node's own name.
        op: of `evaluators.targets.hardware.OPERATORS`.
        weight_bits: as the target would store the weights; 32 where there are none.
        activation_bits: as it would compute the activations.
        macs: multiply-accumulates.
        channels: output channels, and input channels of one group; 0 where there are none.
        weight_bytes: of weights and biases.
        moved_bytes: of activations, read and written.
        patterns: of zeros that the weights keep, of those asked for.
        density: share of the weights that are not zero.
        rows: of the product that the kernel is: pixels, or positions, of the batch; 0 where it is none.
    """

    name: str
    op: str
    weight_bits: int
    activation_bits: int
    macs: float
    channels: tuple[int, int]
    weight_bytes: float
    moved_bytes: float
    patterns: tuple[str, ...] = ()
    density: float = 1.0
    rows: float = 0.0


def read_costs(path: Path, feed: Mapping[str, Array], patterns: Sequence[str] = ()) -> list[KernelCost]:
    """The kernels of an artifact, in the order of execution.

    Args:
        path: an artifact whose nodes carry layer names.
        feed: the inputs of one call; its batch is the batch of the costs.
        patterns: ``n:m`` to look for in the weights.

    Raises:
        DeploymentError: the runtime refuses the artifact or its inputs.
    """
    whole = onnx.load(path)
    declared = json.loads(_property(whole, LAYERS_KEY) or "{}")
    optimized = optimized_model(path)
    values = run_whole(optimized, feed)
    reader = _Reader(optimized.graph, values, declared, output_layers(whole.graph), patterns)
    return list(reader.costs())


class _Reader:
    def __init__(
        self,
        graph: Any,
        values: Mapping[str, Array],
        declared: Mapping[str, Any],
        outputs: Mapping[str, str],
        patterns: Sequence[str],
    ) -> None:
        self._graph, self._values, self._declared, self._outputs = graph, values, declared, outputs
        self._patterns = patterns
        self._stored = {item.name: item for item in graph.initializer}

    def costs(self) -> Iterator[KernelCost]:
        for node in self._graph.node:
            if node.op_type in _FREE:
                continue
            layer = layer_of_node(node, self._outputs)
            facts = self._declared.get(layer) if layer is not None else None
            if node.op_type in _PRODUCTS:
                yield self._product(node, layer, facts)
            elif node.op_type == "Gather" and layer is not None:
                yield self._look_up(node, layer, facts)
            elif facts is None or not facts["simulated"]:  # a simulated layer's rounding is not on the target
                op = "quantize" if node.op_type in _QUANTIZE else "other"
                moved = self._moved(node, 1.0)
                bits = self._width(node)
                yield KernelCost(node.name or node.op_type, op, bits, bits, 0.0, (0, 0), 0.0, moved)

    def _product(self, node: Any, layer: str | None, facts: Any) -> KernelCost:
        weight = node.input[_PRODUCTS[node.op_type]]
        # weights that are brought back to float at each call are computed, and still the layer's weights
        is_weight = weight in self._stored or layer is not None
        shape = self._shape(weight) if is_weight else None
        macs, channels, op = self._work(node, shape)
        is_integer = node.op_type in _INTEGER
        bits = (8, 8) if is_integer else (FLOAT_BITS, FLOAT_BITS)
        scale = 1.0
        if facts is not None:
            bits = facts["weight"], facts["activation"]
            if facts["simulated"]:
                scale = min(bits[1], FLOAT_BITS) / FLOAT_BITS
        count = 0 if shape is None else math.prod(shape)
        if node.op_type == "MatMulNBits":
            count, bits = (
                channels[0] * channels[1],
                (bits[0] if facts else _attribute(node, "bits", 4), bits[1]),
            )
        if node.op_type in _RECURRENT:
            count += sum(math.prod(item.dims) for name in node.input[2:3] if (item := self._stored.get(name)))
        weight_bytes = count * bits[0] / _BITS_PER_BYTE
        name = layer or node.name or node.op_type
        found, density = self._zeros(node, weight) if self._patterns and is_weight else ((), 1.0)
        moved = self._moved(node, scale, weight if is_weight else "")
        rows = math.prod(self._shape(node.output[0])) / channels[0] if channels[0] else 0.0
        return KernelCost(
            name, op, bits[0], bits[1], macs, channels, weight_bytes, moved, found, density, rows
        )

    def _zeros(self, node: Any, weight: str) -> tuple[tuple[str, ...], float]:
        """Patterns that a weight keeps, and the share that is not zero."""
        stored = self._stored.get(weight)
        array = self._values[weight] if stored is None else numpy_helper.to_array(stored)
        if array.size == 0 or node.op_type not in _CONVOLUTIONS | _MATRICES:
            return (), 1.0
        is_row = node.op_type in _CONVOLUTIONS or _attribute(node, "transB", 0)
        rows = array.reshape(array.shape[0], -1) if is_row else array.T
        kept = rows != 0
        found = tuple(pattern for pattern in self._patterns if _keeps(kept, pattern))
        return found, float(kept.mean())

    def _work(self, node: Any, shape: tuple[int, ...] | None) -> tuple[float, tuple[int, int], str]:
        """Multiply-accumulates, channels and operator of a product."""
        output = self._shape(node.output[0])
        if node.op_type in _CONVOLUTIONS:
            shape = shape or self._shape(node.input[_PRODUCTS[node.op_type]])
            groups = _attribute(node, "group", 1)
            macs = math.prod(output) * math.prod(shape[1:])
            return float(macs), (shape[0], shape[1]), _convolution(groups, shape)
        if node.op_type in _RECURRENT:
            steps, batch = self._shape(node.input[0])[:2]
            sizes = [math.prod(self._shape(name)) for name in node.input[1:3]]
            return float(steps * batch * sum(sizes)), (0, 0), _RECURRENT[node.op_type]
        if node.op_type in _ATTENTION and shape is not None:
            batch, steps, width = output
            between = 2 * batch * steps * steps * width  # queries by keys, and what they weigh, by values
            return float(batch * steps * math.prod(shape) + between), (0, 0), "linear"
        inner = self._shape(node.input[0])[-1]
        if node.op_type in {"Gemm", "FusedGemm", "QGemm"} and _attribute(node, "transA", 0):
            inner = self._shape(node.input[0])[0]
        op = "matmul" if shape is None and node.op_type != "MatMulNBits" else "linear"
        return float(math.prod(output) * inner), (output[-1], inner), op

    def _look_up(self, node: Any, layer: str, facts: Any) -> KernelCost:
        bits = (facts["weight"], facts["activation"]) if facts else (FLOAT_BITS, FLOAT_BITS)
        read = math.prod(self._shape(node.output[0])) * bits[0] / _BITS_PER_BYTE
        return KernelCost(
            layer, "embedding", bits[0], bits[1], 0.0, (0, 0), read, self._bytes(node.output[0])
        )

    def _width(self, node: Any) -> int:
        """Bits of what a node that multiplies nothing reads; changes of format count as what they make."""
        name = node.output[0] if node.op_type in _QUANTIZE else node.input[0] if node.input else ""
        value = self._values.get(name)
        is_narrow = value is not None and value.dtype.itemsize == 1
        return _BITS_PER_BYTE if is_narrow else FLOAT_BITS

    def _moved(self, node: Any, scale: float, weight: str = "") -> float:
        """Bytes of activations that a kernel reads and writes."""
        names = [name for name in (*node.input, *node.output) if name and name != weight]
        return scale * sum(self._bytes(name) for name in names if name not in self._stored)

    def _bytes(self, name: str) -> float:
        value = self._values.get(name)
        return 0.0 if value is None else float(value.nbytes)

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in self._stored:
            return tuple(self._stored[name].dims)
        return self._values[name].shape if name in self._values else ()


def _convolution(groups: int, shape: tuple[int, ...]) -> str:
    if groups > 1:
        return "depthwise-conv" if groups == shape[0] else "grouped-conv"
    return "pointwise-conv" if math.prod(shape[2:]) == 1 else "conv"


def _keeps(kept: Array, pattern: str) -> bool:
    """Every m consecutive weights of a row have at most n that are not zero."""
    split = n_of_m(pattern)
    if split is None:
        return False
    n, m = split
    whole = kept.shape[1] // m * m
    blocks = kept[:, :whole].reshape(kept.shape[0], -1, m)
    return whole == kept.shape[1] and bool((blocks.sum(axis=2) <= n).all())


def _attribute(node: Any, name: str, default: int) -> int:
    return next((int(item.i) for item in node.attribute if item.name == name), default)


def _property(model: Any, key: str) -> str | None:
    return next((item.value for item in model.metadata_props if item.key == key), None)
