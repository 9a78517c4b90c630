"""llm-compressor: a recipe of one ``QuantizationModifier``, a group for each combination of formats.

Read in the source of llmcompressor 0.14 and compressed-tensors 0.19, and checked with them by `make interop`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.conversion import Conversion
from recipes.expressing import QuantizedLayer, Refusal, express
from recipes.yaml_text import dump_yaml
from spaces import FLOAT_BITS, MOST_INTEGER_BITS

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import ActivationFormat, LayerInventory, WeightFormat

FORMAT: Final = "llm-compressor"
_OBSERVERS: Final = {"minmax": "minmax", "mse": "mse"}


@dataclass(frozen=True, slots=True)
class LlmCompressor:
    """Integer weights of 2 to 8 bits and static or dynamic activations of linear layers; embeddings alone."""

    tool: str = "llmcompressor 0.14"
    suffix: str = ".yaml"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The quantization of a policy's layers; see `Converter`."""
        said, losses = express(recipe, inventory, _say)
        groups: dict[tuple[WeightFormat, ActivationFormat], list[str]] = {}
        for name, layer in said.items():
            groups.setdefault((layer.weight, layer.activation), []).append(name)
        modifiers: dict[str, Any] = {}
        if groups:
            documents = {
                f"group_{index}": _group(weight, activation, names)
                for index, ((weight, activation), names) in enumerate(groups.items())
            }
            modifiers["QuantizationModifier"] = {"ignore": [], "config_groups": documents}
        text = dump_yaml({"compression_stage": {"compression_modifiers": modifiers}})
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def _say(layer: QuantizedLayer) -> QuantizedLayer | Refusal:
    weight, activation = layer.weight, layer.activation
    if layer.op not in {"linear", "embedding"}:
        return Refusal("weight", "it quantizes linear layers and embeddings")
    if weight.bits > MOST_INTEGER_BITS:
        return Refusal("weight", "its integer weights have at most 8 bits")
    if activation.bits > MOST_INTEGER_BITS and activation.bits != FLOAT_BITS:
        return Refusal("activation", "it has no 16-bit activations")
    if activation.mode == "static" and activation.calibration not in _OBSERVERS:
        return Refusal("activation", f"it has no calibration {activation.calibration!r}")
    return layer


def _group(weight: WeightFormat, activation: ActivationFormat, names: list[str]) -> dict[str, Any]:
    weights: dict[str, Any] = {
        "num_bits": weight.bits,
        "type": "int",
        "symmetric": weight.symmetric,
        "strategy": weight.granularity,
        "dynamic": False,
    }
    if weight.group_size is not None:
        weights["group_size"] = weight.group_size
    document: dict[str, Any] = {"targets": [f"re:^{re.escape(name)}$" for name in names], "weights": weights}
    if activation.mode == "none":
        return document
    inputs: dict[str, Any] = {"num_bits": activation.bits, "type": "int", "symmetric": False}
    if activation.mode == "dynamic":
        inputs |= {"strategy": "token", "dynamic": True}
    else:
        inputs |= {"strategy": "tensor", "dynamic": False, "observer": _OBSERVERS[activation.calibration]}
    return document | {"input_activations": inputs}
