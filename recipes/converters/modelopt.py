"""NVIDIA Model Optimizer: a ``QuantizeConfig`` as YAML, for ``mtq.quantize(model, config, forward_loop)``.

YAML, because its block sizes have whole numbers for keys, which JSON has not. Read in the source of
nvidia-modelopt 0.47, and checked with it by `make interop`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.conversion import Conversion
from recipes.expressing import CONVOLUTIONS, QuantizedLayer, Refusal, express, first_refusal
from recipes.yaml_text import dump_yaml
from spaces import FLOAT_BITS, MOST_INTEGER_BITS

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory

FORMAT: Final = "modelopt"
_WILDCARD: Final = re.compile(r"([*?[])")


@dataclass(frozen=True, slots=True)
class ModelOpt:
    """Symmetric integer weights, with static or dynamic activations; recurrent layers stay."""

    tool: str = "nvidia-modelopt 0.47"
    suffix: str = ".yaml"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The quantization of a policy's layers; see `Converter`."""
        said, losses = express(recipe, inventory, _entries)
        entries = [
            {"quantizer_name": "*", "enable": False},
            *(item for items in said.values() for item in items),
        ]
        text = dump_yaml({"quant_cfg": entries, "algorithm": "max"})
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def _entries(layer: QuantizedLayer) -> list[dict[str, Any]] | Refusal:
    weight, activation = layer.weight, layer.activation
    refusal = first_refusal(
        (
            layer.op not in CONVOLUTIONS | {"linear", "embedding"},
            "weight",
            f"it has no quantizer for {layer.op}",
        ),
        (weight.bits > MOST_INTEGER_BITS, "weight", "its integer weights have at most 8 bits"),
        (not weight.symmetric, "weight", "its integer weights are symmetric"),
        (
            activation.bits > MOST_INTEGER_BITS and activation.bits != FLOAT_BITS,
            "activation",
            "it has no 16-bit activations",
        ),
        (
            activation.calibration != "minmax",
            "activation",
            f"one algorithm holds for all layers, and 'max' is not {activation.calibration!r}",
        ),
        (
            weight.granularity == "group" and layer.op != "linear",
            "weight",
            "blocks are along the inputs of linear layers",
        ),
    )
    if refusal is not None:
        return refusal
    name = _WILDCARD.sub(r"[\1]", layer.name)
    by_group = weight.granularity == "group"
    axis = {"block_sizes": {-1: weight.group_size}} if by_group else {"axis": _axis(weight.granularity)}
    entries: list[dict[str, Any]] = [
        {"quantizer_name": f"{name}.weight_quantizer", "cfg": {"num_bits": weight.bits, **axis}}
    ]
    if activation.mode != "none":
        config: dict[str, Any] = {"num_bits": activation.bits, "axis": None}
        if activation.mode == "dynamic":
            config["type"] = "dynamic"
        entries.append({"quantizer_name": f"{name}.input_quantizer", "cfg": config})
    return entries


def _axis(granularity: str) -> int | None:
    return 0 if granularity == "channel" else None
