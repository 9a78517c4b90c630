"""Intel Neural Compressor for PyTorch: a round-to-nearest configuration, for ``RTNConfig.from_dict``.

Names of layers are regular expressions that it matches from their start. Read in the source of
neural-compressor-pt 3.10, and checked with it by `make interop`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.conversion import Conversion
from recipes.expressing import QuantizedLayer, Refusal, express
from spaces import FLOAT_BITS, MOST_INTEGER_BITS

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory

FORMAT: Final = "neural-compressor"


@dataclass(frozen=True, slots=True)
class NeuralCompressor:
    """Weights of 2 to 8 bits of linear layers, by channel or group, activations in float."""

    tool: str = "neural-compressor-pt 3.10"
    suffix: str = ".json"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The quantization of a policy's layers; see `Converter`."""
        said, losses = express(recipe, inventory, _config)
        local = {f"^{re.escape(name)}$": config for name, config in said.items()}
        document = {"global": {"dtype": "fp32", "use_layer_wise": False}, "local": local}
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def _config(layer: QuantizedLayer) -> dict[str, Any] | Refusal:
    weight = layer.weight
    if layer.activation.bits != FLOAT_BITS:
        return Refusal("activation", "this configuration is of weights alone")
    if layer.op != "linear":
        return Refusal("weight", "weights alone are quantized of linear layers")
    if weight.bits > MOST_INTEGER_BITS:
        return Refusal("weight", "its integer weights have at most 8 bits")
    if weight.granularity == "tensor":
        return Refusal("weight", "it takes a scale by channel or by group")
    return {
        "dtype": "int",
        "bits": weight.bits,
        "use_sym": weight.symmetric,
        "group_size": weight.group_size or -1,
        "use_layer_wise": False,
    }
