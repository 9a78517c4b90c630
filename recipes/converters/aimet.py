"""AIMET: a runtime configuration for ``QuantizationSimModel``, by type of operator.

It knows no layers, so a format is said only where all layers of a type share it. Written from the schema in
the source of aimet-torch 2.42, and tried with it by `make interop`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.conversion import Conversion
from recipes.expressing import CONVOLUTIONS, QuantizedLayer, Refusal, express
from spaces import MOST_INTEGER_BITS

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory, LayerPolicy

FORMAT: Final = "aimet"


@dataclass(frozen=True, slots=True)
class Aimet:
    """8-bit weights with 8-bit static activations, the same for all convolutions, or all linear layers."""

    tool: str = "aimet-torch 2.42"
    suffix: str = ".json"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The quantization of a policy's layers; see `Converter`."""
        formats: dict[str, set[LayerPolicy | None]] = {}
        for info in inventory.layers:
            formats.setdefault(_type(info.op), set()).add(_quantization(recipe, info.name))

        def say(layer: QuantizedLayer) -> dict[str, Any] | Refusal:
            if len(formats[_type(layer.op)]) > 1:
                return Refusal(
                    "weight", f"one format holds for all {_type(layer.op)} layers, and others differ"
                )
            return _operator(layer)

        said, losses = express(recipe, inventory, say)
        types = {_type(inventory.by_name[name].op): document for name, document in said.items()}
        text = json.dumps(_document(types), indent=2) + "\n"
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def _type(op: str) -> str:
    return "Conv" if op in CONVOLUTIONS else {"linear": "Gemm"}.get(op, op)


def _quantization(recipe: Recipe, name: str) -> Any:
    layer = recipe.policy.layers.get(name)
    return None if layer is None or not layer.is_quantized else (layer.weight, layer.activation)


def _operator(layer: QuantizedLayer) -> dict[str, Any] | Refusal:
    weight, activation = layer.weight, layer.activation
    if _type(layer.op) not in {"Conv", "Gemm"}:
        return Refusal("weight", f"its configuration of {layer.op} is not written here")
    if weight.bits != MOST_INTEGER_BITS or weight.granularity == "group":
        return Refusal("weight", "its file names no bits: it is for the default of 8, by tensor or channel")
    if activation.mode != "static" or activation.bits != MOST_INTEGER_BITS:
        return Refusal("activation", "it simulates 8-bit static activations")
    if activation.calibration != "minmax":
        return Refusal(
            "activation", "the calibration is an argument of QuantizationSimModel, not of its file"
        )
    return {
        "is_input_quantized": "True",
        "per_channel_quantization": str(weight.granularity == "channel"),
        "params": {"weight": {"is_quantized": "True", "is_symmetric": str(weight.symmetric)}},
    }


def _document(types: dict[str, Any]) -> dict[str, Any]:
    if "Gemm" in types:
        types = types | {"MatMul": types["Gemm"]}
    return {
        "defaults": {
            "ops": {},
            "params": {},
            "strict_symmetric": "False",
            "unsigned_symmetric": "False",
            "per_channel_quantization": "False",
        },
        "params": {},
        "op_type": types,
        "supergroups": [],
        "model_input": {},
        "model_output": {},
    }
