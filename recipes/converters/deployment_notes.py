"""Notes for runtimes that no converter writes for: what of a policy is which switch of theirs.

Written from the documentation of llama.cpp, TensorRT and LiteRT (TensorFlow Lite); nothing here was run with
them, and the text says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from recipes.conversion import Conversion, Loss
from recipes.expressing import (
    CONVOLUTIONS,
    QuantizedLayer,
    losses_before_quantization,
    quantized_layers,
)
from spaces import FLOAT_BITS, MOST_INTEGER_BITS

if TYPE_CHECKING:
    from collections.abc import Callable

    from recipes.recipe import Recipe
    from spaces import LayerInventory

FORMAT: Final = "deployment-notes"
_NONE: Final = "no switch"
_NOT_RUN: Final = Loss(
    None,
    "weight",
    "notes for a person: no tool reads them, and none of them was run",
    "follow them by hand, and measure the result",
)


@dataclass(frozen=True, slots=True)
class DeploymentNotes:
    """Markdown with a table for each runtime: the policy's formats, the layers that have them, the switch."""

    tool: str = "a person"
    suffix: str = ".md"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The notes; see `Converter`."""
        layers = quantized_layers(recipe.policy, inventory)
        floats = len(inventory.layers) - len(layers)
        before = losses_before_quantization(recipe)
        parts = [
            f"# Deployment notes for policy {recipe.policy.digest}",
            (
                "From the runtimes' documentation; **none of this was run**. "
                "Measure size, latency and accuracy there."
            ),
            _first(before),
            *(_section(title, start, layers, floats, say) for title, start, say in _RUNTIMES),
        ]
        text = "\n\n".join(part for part in parts if part) + "\n"
        return Conversion(FORMAT, self.tool, text, (_NOT_RUN, *before))


def _first(losses: list[Loss]) -> str:
    if not losses:
        return ""
    lines = [f"- {loss}" for loss in losses]
    return "\n".join(["## Before any of them", "", *lines])


def _section(
    title: str, start: str, layers: list[QuantizedLayer], floats: int, say: Callable[[QuantizedLayer], str]
) -> str:
    groups: Counter[tuple[str, str]] = Counter((str(layer), say(layer)) for layer in layers)
    rows = [f"| {form} | {count} | {switch} |" for (form, switch), count in groups.items()]
    if floats:
        rows.append(f"| float | {floats} | leave as they are |")
    return "\n".join(
        [f"## {title}", "", start, "", "| policy | layers | switch |", "| --- | --- | --- |", *rows]
    )


def _gguf(layer: QuantizedLayer) -> str:
    weight = layer.weight
    if layer.op not in {"linear", "embedding"} or layer.activation.bits != FLOAT_BITS:
        return f"{_NONE}: GGUF types are of matrices' weights; activations are quantized inside the kernels"
    if weight.bits == 16:  # noqa: PLR2004
        return "`--tensor-type NAME=f16`"
    if weight.granularity != "group" or weight.group_size != 32:  # noqa: PLR2004
        return f"{_NONE}: its plain types have a scale for each 32 inputs"
    kinds = {8: "q8_0", 5: "q5_0", 4: "q4_0"} if weight.symmetric else {5: "q5_1", 4: "q4_1"}
    kind = kinds.get(weight.bits)
    return f"{_NONE}: no such type" if kind is None else f"`--tensor-type NAME={kind}`"


def _tensorrt(layer: QuantizedLayer) -> str:
    weight, activation = layer.weight, layer.activation
    if weight.bits == 16:  # noqa: PLR2004
        return "FP16 types in the network (strongly typed), or `--fp16`"
    if not weight.symmetric:
        return f"{_NONE}: its integers are symmetric"
    if weight.bits == MOST_INTEGER_BITS and activation.mode == "static" and weight.granularity != "group":
        return "explicit quantization: Q/DQ with INT8, activations by tensor and symmetric; calibrate again"
    if weight.bits == 4 and activation.bits == FLOAT_BITS and weight.granularity == "group":  # noqa: PLR2004
        return f"Q/DQ with INT4 weights in blocks of {weight.group_size}: 64 and 128 are documented"
    return f"{_NONE}: not a documented combination"


def _litert(layer: QuantizedLayer) -> str:
    weight, activation = layer.weight, layer.activation
    if weight.bits == 16:  # noqa: PLR2004
        return "`target_spec.supported_types = [float16]`, for the whole model"
    if weight.bits != MOST_INTEGER_BITS or not weight.symmetric or weight.granularity == "group":
        return f"{_NONE}: the converter makes symmetric 8-bit weights by tensor or channel"
    if activation.mode == "static" and layer.op in CONVOLUTIONS | {"linear"}:
        return "`optimizations = [DEFAULT]` with `representative_dataset`; mixed models through its recipes"
    return "`optimizations = [DEFAULT]`: dynamic range, the kernel decides on activations"


_RUNTIMES: Final = (
    (
        "llama.cpp (GGUF)",
        (
            "For architectures that `convert_hf_to_gguf.py` knows. `llama-quantize` takes a type a tensor; "
            "NAME is the tensor's name in GGUF, which is not the module path."
        ),
        _gguf,
    ),
    (
        "TensorRT",
        (
            "Start from float.onnx of `tauten apply`. Types come from its Q/DQ nodes; the format `modelopt` "
            "writes a configuration whose ONNX export has them."
        ),
        _tensorrt,
    ),
    (
        "LiteRT (TensorFlow Lite)",
        "Start from model.safetensors of `tauten apply`, through its PyTorch converter.",
        _litert,
    ),
)
