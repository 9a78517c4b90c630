"""ONNX Runtime: arguments of ``quantize_static`` and ``quantize_dynamic`` as JSON, for ``float.onnx``.

Enumerations stand by their members' names, such as ``"QInt8"`` of ``QuantType``. Where both functions are
named, the dynamic one comes first. Read in the source of onnxruntime 1.32, and tested with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.conversion import Conversion, Loss
from recipes.converters.node_names import node_names
from recipes.expressing import (
    CONVOLUTIONS,
    QuantizedLayer,
    Refusal,
    express,
    first_refusal,
    in_words,
    most_common,
    quantized_layers,
)
from spaces import MOST_INTEGER_BITS, InvalidRecipe, Reader

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import Calibration, LayerInventory

FORMAT: Final = "onnxruntime"

_METHODS: Final[dict[Calibration, str]] = {
    "minmax": "MinMax",
    "percentile": "Percentile",
    "entropy": "Entropy",
}
_PERCENTILE: Final = 99.99

_FLOAT_LAYERS: Final = (
    Loss(
        None,
        "weight",
        "layers in float between quantized ones: the runtime makes them int8 when a session is created with "
        "default options",
        "pass disabled_optimizers=['WeightBiasQuantization'] to InferenceSession, or use the recipe's own "
        "artifact, which guards them",
    ),
    Loss(
        None,
        "activation",
        "layers in float that read what a quantized layer reads: the tool rounds the tensor for both",
        "nothing where the recipe's accuracy is concerned: its own artifact shares tensors in the same way",
    ),
)


@dataclass(frozen=True, slots=True)
class OnnxRuntime:
    """8-bit weights with 8-bit activations, static or dynamic; one granularity and one calibration each."""

    tool: str = "onnxruntime 1.32"
    suffix: str = ".json"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The quantization of a policy's layers; see `Converter`."""
        document, losses = onnxruntime_calls(recipe, inventory)
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def onnxruntime_calls(recipe: Recipe, inventory: LayerInventory) -> tuple[dict[str, Any], list[Loss]]:
    """Arguments by function, ``quantize_dynamic`` and ``quantize_static`` where needed, and the losses."""
    said, losses = express(recipe, inventory, _say)
    document: dict[str, Any] = {}
    for mode, function in (("dynamic", "quantize_dynamic"), ("static", "quantize_static")):
        chosen = {name: layer for name, layer in said.items() if layer.activation.mode == mode}
        agreed, lost = _agreed(chosen)
        losses += lost
        if agreed:
            nodes = [node for name in agreed for node in node_names(inventory.by_name[name])]
            document[function] = _arguments(next(iter(agreed.values())), nodes, _reduces(recipe))
    if "quantize_static" in document and len(quantized_layers(recipe.policy, inventory)) < len(
        inventory.layers
    ):
        losses += _FLOAT_LAYERS
    return document, losses


def _say(layer: QuantizedLayer) -> QuantizedLayer | Refusal:
    weight, activation = layer.weight, layer.activation
    refusal = first_refusal(
        (layer.op not in CONVOLUTIONS | {"linear"}, "weight", f"it has no such kernel for {layer.op}"),
        (weight.bits != MOST_INTEGER_BITS, "weight", "these functions make 8-bit weights for a whole file"),
        (weight.granularity == "group", "weight", "these functions take a scale by tensor or by channel"),
        (
            activation.bits != MOST_INTEGER_BITS,
            "activation",
            "these functions quantize weights together with 8-bit activations",
        ),
        (
            activation.mode == "static" and activation.calibration not in _METHODS,
            "activation",
            f"it has no calibration {activation.calibration!r}",
        ),
        (
            activation.mode == "dynamic" and not weight.symmetric,
            "weight",
            "quantize_dynamic makes symmetric 8-bit weights",
        ),
    )
    if refusal is not None:
        return refusal
    return layer


def _agreed(said: dict[str, QuantizedLayer]) -> tuple[dict[str, QuantizedLayer], list[Loss]]:
    """The layers that the arguments, which hold for a file, can serve together."""
    weights = {name: in_words(layer.weight) for name, layer in said.items()}
    weight, losses = most_common(weights, "weight", "format of weights")
    kept = {name: layer for name, layer in said.items() if weights[name] == weight}
    methods = {name: layer.activation.calibration for name, layer in kept.items()}
    method, more = most_common(methods, "activation", "calibration")
    return {name: kept[name] for name in kept if methods[name] == method}, losses + more


def _arguments(layer: QuantizedLayer, nodes: list[str], reduce_range: bool) -> dict[str, Any]:
    common: dict[str, Any] = {
        "per_channel": layer.weight.granularity == "channel",
        "reduce_range": reduce_range,
        "weight_type": "QInt8",
        "nodes_to_quantize": nodes,
    }
    options: dict[str, Any] = {"WeightSymmetric": layer.weight.symmetric}
    if layer.activation.mode == "dynamic":
        # It turns a Gemm into a MatMul of another name before it looks at this list.
        common["nodes_to_quantize"] = [name for node in nodes for name in (node, f"{node}_MatMul")]
        return common | {"op_types_to_quantize": ["Conv", "Gemm", "MatMul"], "extra_options": options}
    options["ActivationSymmetric"] = False
    if layer.activation.calibration == "percentile":
        options["CalibPercentile"] = _PERCENTILE
    return common | {
        "quant_format": "QDQ",
        "activation_type": "QUInt8",
        "calibrate_method": _METHODS[layer.activation.calibration],
        "extra_options": options,
    }


def _reduces(recipe: Recipe) -> bool:
    return Reader(recipe.deployment, "/deployment", InvalidRecipe).flag("reduce_range", False)
