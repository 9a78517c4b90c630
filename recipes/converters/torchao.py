"""torchao: an ``FqnToConfig`` as its ``config_to_dict`` writes it, for ``quantize_(model, config, None)``.

Checked with torchao 0.18, whose ``core/config.py`` is the source of the form.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.conversion import Conversion
from recipes.expressing import CONVOLUTIONS, RECURRENT, QuantizedLayer, Refusal, express, first_refusal
from spaces import FLOAT_BITS, MOST_INTEGER_BITS

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory, WeightFormat

FORMAT: Final = "torchao"


@dataclass(frozen=True, slots=True)
class TorchAo:
    """Weights of 2 to 8 bits by channel or group of linear layers and embeddings, and dynamic activations."""

    tool: str = "torchao 0.18"
    suffix: str = ".json"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The quantization of a policy's layers; see `Converter`."""
        said, losses = express(recipe, inventory, _config)
        document = _typed("FqnToConfig", {"fqn_to_config": said, "module_fqn_to_config": said}, 1)
        text = json.dumps(document, indent=1) + "\n"
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def _config(layer: QuantizedLayer) -> dict[str, Any] | Refusal:
    weight, activation = layer.weight, layer.activation
    refusal = first_refusal(
        # PerAxis makes blocks of 1 x inputs x 1 x 1 of a kernel of n x m (0.18): a scale for each position.
        (
            layer.op in CONVOLUTIONS,
            "weight",
            "its configurations have no scale by channel of a convolution's kernel",
        ),
        (layer.op in RECURRENT, "weight", "its kernels do not take quantized recurrent weights"),
        (
            weight.bits > MOST_INTEGER_BITS,
            "weight",
            "it has no 16-bit weights and no quantized activations of float weights",
        ),
        (activation.mode == "static", "activation", "static scales are tensors, which its JSON cannot hold"),
        (
            activation.bits not in {MOST_INTEGER_BITS, FLOAT_BITS},
            "activation",
            "dynamic activations have 8 bits",
        ),
        (
            activation.mode == "dynamic" and layer.op != "linear",
            "activation",
            "dynamic activations are for linear layers",
        ),
        (
            weight.granularity == "group" and layer.op != "linear",
            "weight",
            "groups are along the inputs of linear layers",
        ),
    )
    if refusal is not None:
        return refusal
    if weight.granularity == "tensor":
        return _by_tensor(layer)
    if activation.mode == "dynamic":
        return _intx("Int8DynamicActivationIntxWeightConfig", weight, "weight_", "ASYMMETRIC")
    return _intx("IntxWeightOnlyConfig", weight, "", None)


def _by_tensor(layer: QuantizedLayer) -> dict[str, Any] | Refusal:
    is_plain = layer.weight.bits == MOST_INTEGER_BITS and layer.weight.symmetric and layer.op == "linear"
    if not is_plain:
        return Refusal("weight", "one scale for a tensor goes with 8 symmetric bits of linear layers only")
    granularity = _typed("PerTensor", {}, 1)
    if layer.activation.mode == "dynamic":
        fields = {
            "act_mapping_type": _enum("MappingType", "ASYMMETRIC"),
            "weight_only_decode": False,
            "granularity": granularity,
            "set_inductor_config": False,
            "reduce_range": False,
        }
        return _typed("Int8DynamicActivationInt8WeightConfig", fields, 2)
    fields = {"group_size": None, "granularity": granularity, "set_inductor_config": False}
    return _typed("Int8WeightOnlyConfig", fields, 2)


def _intx(name: str, weight: WeightFormat, prefix: str, activation_mapping: str | None) -> dict[str, Any]:
    by_group = weight.granularity == "group"
    granularity = (
        _typed("PerGroup", {"group_size": weight.group_size}, 1)
        if by_group
        else _typed("PerAxis", {"axis": 0}, 1)
    )
    fields: dict[str, Any] = {
        "weight_dtype": _enum("torch.dtype", f"int{weight.bits}"),
        f"{prefix}granularity": granularity,
        f"{prefix}mapping_type": _enum("MappingType", "SYMMETRIC" if weight.symmetric else "ASYMMETRIC"),
        f"{prefix}scale_dtype": None,
    }
    if activation_mapping is not None:
        fields["act_mapping_type"] = _enum("MappingType", activation_mapping)
    fields["intx_packing_format"] = _enum("IntxPackingFormat", "UNPACKED_TO_INT8")
    fields["intx_choose_qparams_algorithm"] = _enum("IntxChooseQParamsAlgorithm", "AFFINE")
    return _typed(name, fields, 2)


def _typed(name: str, fields: dict[str, Any], version: int) -> dict[str, Any]:
    return {"_type": name, "_version": version, "_data": fields}


def _enum(name: str, member: str) -> dict[str, Any]:
    return {"_type": name, "_data": member}
