"""NNCF: a script of ``compress_weights`` and ``quantize`` on ``float.onnx``, all other nodes ignored.

The result is ONNX, which OpenVINO reads as it is. A bias that nncf adds a second time to a 4-bit product is
taken out by the script: left in, a small attention network fell from 0.76 to 0.66. The estimator of
activations' ranges is named, since NNCF's own is the mean of the batches' extremes, not the least and the
greatest value. Read in nncf 3.4's source, and tested with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from recipes.conversion import Conversion, Loss
from recipes.converters.node_names import pattern_of_others
from recipes.expressing import (
    CONVOLUTIONS,
    QuantizedLayer,
    Refusal,
    express,
    first_refusal,
    in_words,
    most_common,
)
from spaces import FLOAT_BITS, MOST_INTEGER_BITS, InvalidRecipe, Reader

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory, WeightFormat

FORMAT: Final = "nncf"
_NIBBLE: Final = 4
_LEAST_BLOCK: Final = 16
"""Of MatMulNBits; 4 bits by channel would need an operator set above the 17 of ``float.onnx``."""


@dataclass(frozen=True, slots=True)
class Nncf:
    """8-bit static quantization, and weights of 8 or 4 bits alone, each with its own ignored scope."""

    tool: str = "nncf 3.4"
    suffix: str = ".py"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The quantization of a policy's layers; see `Converter`."""
        rows = {info.name: math.prod(info.weight_shape[1:]) for info in inventory.layers}
        said, losses = express(recipe, inventory, lambda layer: _say(layer, rows[layer.name]))
        alone = {name: layer.weight for name, layer in said.items() if layer.activation.bits == FLOAT_BITS}
        static = {name: layer for name, layer in said.items() if name not in alone}
        weights = {name: in_words(layer.weight) for name, layer in static.items()}
        chosen, lost = most_common(weights, "weight", "format of weights")
        losses += lost
        kept = {name: layer for name, layer in static.items() if weights[name] == chosen}
        calls = [_compress(weight, alone) for weight in dict.fromkeys(alone.values())]
        if kept:
            calls.append(_quantize(next(iter(kept.values())).weight, list(kept), recipe))
        text = _SCRIPT.format(
            digest=recipe.policy.digest, losses=_comments(losses), calls="\n".join(calls) or "    pass"
        )
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def _say(layer: QuantizedLayer, inputs: int) -> QuantizedLayer | Refusal:
    """A layer of so many inputs a row, if the tool can make it."""
    weight, activation = layer.weight, layer.activation
    if activation.mode == "static":
        return _say_static(layer)
    is_apt = (weight.bits, weight.granularity) in {(MOST_INTEGER_BITS, "channel"), (_NIBBLE, "group")}
    refusal = first_refusal(
        (activation.mode == "dynamic", "activation", "it has no dynamic activations"),
        (activation.bits != FLOAT_BITS, "activation", "it leaves activations in float or makes them 8-bit"),
        (layer.op != "linear", "weight", "weights alone are compressed of linear layers"),
        (not is_apt, "weight", "weights alone have 8 bits by channel, or 4 bits by group"),
        (
            not _fits_blocks(weight, inputs),
            "weight",
            f"groups of 4-bit weights are a power of two from {_LEAST_BLOCK} on and divide a row's {inputs}",
        ),
    )
    return layer if refusal is None else refusal


def _say_static(layer: QuantizedLayer) -> QuantizedLayer | Refusal:
    weight, activation = layer.weight, layer.activation
    has_kernel = layer.op in CONVOLUTIONS | {"linear"} and weight.bits == MOST_INTEGER_BITS
    method = activation.calibration
    refusal = first_refusal(
        (not has_kernel, "weight", "static activations go with 8-bit convolutions and linear layers"),
        (weight.granularity == "group", "weight", "static layers take a scale by tensor or by channel"),
        (activation.bits != MOST_INTEGER_BITS, "activation", "static activations have 8 bits"),
        (method != "minmax", "activation", f"one estimator holds for all tensors, and none is {method!r}"),
    )
    return layer if refusal is None else refusal


def _fits_blocks(weight: WeightFormat, inputs: int) -> bool:
    size = weight.group_size
    return size is None or (size >= _LEAST_BLOCK and size & (size - 1) == 0 and inputs % size == 0)


def _compress(weight: WeightFormat, alone: dict[str, WeightFormat]) -> str:
    names = [name for name, other in alone.items() if other == weight]
    mode = f"INT{weight.bits}_{'SYM' if weight.symmetric else 'ASYM'}"
    four = ""
    if weight.bits == _NIBBLE:
        four = f"\n        ratio=1.0,\n        all_layers=True,\n        group_size={weight.group_size},"
    call = f"""    model = nncf.compress_weights(
        model,
        mode=nncf.CompressWeightsMode.{mode},{four}
        ignored_scope=nncf.IgnoredScope(patterns=[{pattern_of_others(names)!r}], validate=False),
    )"""
    return f"{call}\n    add_biases_once(model)" if weight.bits == _NIBBLE else call


def _quantize(weight: WeightFormat, names: list[str], recipe: Recipe) -> str:
    reduces = Reader(recipe.deployment, "/deployment", InvalidRecipe).flag("reduce_range", False)
    recovery = recipe.policy.recovery
    corrects = recovery is not None and recovery.bias_correction
    mode = "SYMMETRIC" if weight.symmetric else "ASYMMETRIC"
    return f"""    model = nncf.quantize(
        model,
        calibration,
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(patterns=[{pattern_of_others(names)!r}], validate=False),
        advanced_parameters=AdvancedQuantizationParameters(
            overflow_fix=OverflowFix.{"ENABLE" if reduces else "DISABLE"},
            disable_bias_correction={not corrects},
            weights_quantization_params=QuantizationParameters(
                num_bits=8, mode=QuantizationScheme.{mode}, per_channel={weight.granularity == "channel"}
            ),
            activations_quantization_params=QuantizationParameters(num_bits=8, per_channel=False),
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        ),
    )"""


def _comments(losses: list[Loss]) -> str:
    return "".join(f"# Left out: {' '.join(str(loss).split())}\n" for loss in losses)


_SCRIPT: Final = '''"""Quantizes the float.onnx of `tauten apply` by policy {digest}."""

import nncf
from nncf.common.quantization.structs import QuantizationScheme
from nncf.quantization.advanced_parameters import (
    AdvancedQuantizationParameters,
    OverflowFix,
    QuantizationParameters,
)
from nncf.quantization.range_estimator import RangeEstimatorParametersSet

{losses}
def add_biases_once(model):
    """Takes from 4-bit products, in place, the biases that an Add behind them adds already.

    nncf 3.4 gives the product the bias that it finds in the Add, and leaves the Add: the sum had it twice.
    """
    sums = [set(node.input) for node in model.graph.node if node.op_type == "Add"]
    for node in model.graph.node:
        if node.op_type == "MatMulNBits" and len(node.input) == 6:
            if {{node.output[0], node.input[5]}} in sums:
                del node.input[5]


def compress(model, calibration):
    """The quantized model.

    Args:
        model: an onnx.ModelProto.
        calibration: an nncf.Dataset of inputs by name.
    """
{calls}
    return model
'''
