"""What converters share: quantized layers with their operators, and what a quantizer leaves undone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from recipes.conversion import Loss
from spaces import FLOAT_BITS, ActivationFormat, WeightFormat

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping

    from recipes.recipe import Recipe
    from spaces import LayerInventory, Policy, Prune, Recovery

T = TypeVar("T")
H = TypeVar("H", bound="Hashable")

CONVOLUTIONS: Final = frozenset({"conv", "depthwise-conv", "grouped-conv"})
RECURRENT: Final = frozenset({"lstm", "gru"})

STAYS_FLOAT: Final = "the layer stays in float in this file; use the recipe's own artifact for it"
SHAPED_FIRST: Final = (
    "`tauten apply` does it: give the tool its model.safetensors (PyTorch) or float.onnx, not the original"
)


@dataclass(frozen=True, slots=True)
class QuantizedLayer:
    """A layer of a policy with fewer than 32 bits somewhere.

    Attributes:
        name: module path.
        op: of `spaces.LayerInfo.op`.
        weight: 32 bits where the weights stay.
        activation: 32 bits where the activations stay.
    """

    name: str
    op: str
    weight: WeightFormat
    activation: ActivationFormat

    def __str__(self) -> str:
        return f"{in_words(self.weight)}, {activation_in_words(self.activation)}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a format cannot say what a layer's policy asks.

    Attributes:
        part: ``weight`` or ``activation``.
        why: the format's limit, in words.
    """

    part: str
    why: str


def first_refusal(*cases: tuple[bool, str, str]) -> Refusal | None:
    """The first case that holds, of triples: whether it holds, the part, and why the format cannot say it."""
    return next((Refusal(part, why) for holds, part, why in cases if holds), None)


def quantized_layers(policy: Policy, inventory: LayerInventory) -> list[QuantizedLayer]:
    """A policy's quantized layers, in order of execution."""
    return [
        QuantizedLayer(
            info.name,
            info.op,
            layer.weight or WeightFormat(FLOAT_BITS),
            layer.activation or ActivationFormat(FLOAT_BITS),
        )
        for info in inventory.layers
        if (layer := policy.layers.get(info.name)) is not None and layer.is_quantized
    ]


def express(
    recipe: Recipe, inventory: LayerInventory, say: Callable[[QuantizedLayer], T | Refusal]
) -> tuple[dict[str, T], list[Loss]]:
    """What a format that only quantizes says of a recipe.

    Args:
        recipe: whose policy's quantized layers are said.
        inventory: of its model.
        say: what the format says of a layer, or why it cannot.

    Returns:
        What is said, by layer in order of execution, and the losses: those before quantization, then those of
        layers.
    """
    said: dict[str, T] = {}
    losses = losses_before_quantization(recipe)
    for layer in quantized_layers(recipe.policy, inventory):
        found = say(layer)
        if isinstance(found, Refusal):
            losses.append(Loss(layer.name, found.part, f"{layer}: {found.why}", STAYS_FLOAT))
        else:
            said[layer.name] = found
    return said, losses


def most_common(said: Mapping[str, H], part: str, what: str) -> tuple[H | None, list[Loss]]:
    """The choice that a format makes once for all layers: what most of them ask; the others are lost."""
    if not said:
        return None, []
    chosen = Counter(said.values()).most_common(1)[0][0]
    losses = [
        Loss(name, part, f"{value}: the format has one {what} for all layers, here {chosen}", STAYS_FLOAT)
        for name, value in said.items()
        if value != chosen
    ]
    return chosen, losses


def losses_before_quantization(recipe: Recipe) -> list[Loss]:
    """What a tool that only quantizes cannot do: another model, pruning, training."""
    policy = recipe.policy
    losses = []
    if policy.student is not None:
        losses.append(Loss(None, "student", f"student {policy.student}: not of this format", SHAPED_FIRST))
    losses += [
        Loss(name, "prune", f"{prune_in_words(layer.prune)}: not of this format", SHAPED_FIRST)
        for name, layer in policy.layers.items()
        if layer.prune is not None and not layer.prune.is_empty
    ]
    return losses + list(recovery_losses(policy.recovery))


def recovery_losses(recovery: Recovery | None) -> Iterator[Loss]:
    """What a format without training cannot say of a recovery."""
    if recovery is None:
        return
    if recovery.changes_weights:
        detail = f"{recovery.epochs:g} epochs of training: not of this format"
        yield Loss(None, "recovery", detail, SHAPED_FIRST)
    if recovery.qat and recovery.epochs > 0:
        detail = "quantization-aware training: its weights are those of the recipe's own artifact alone"
        yield Loss(None, "recovery", detail, "measure the accuracy again; it may be lower than claimed")
    for name in ("equalization", "bias_correction"):
        if getattr(recovery, name):
            detail = f"{name.replace('_', ' ')}: not of this format"
            yield Loss(None, "recovery", detail, "measure the accuracy again, or use the recipe's artifact")


def in_words(weight: WeightFormat) -> str:
    """A weight format for a person."""
    if weight.bits == FLOAT_BITS:
        return "float weights"
    size = "" if weight.group_size is None else f" of {weight.group_size}"
    kind = "symmetric" if weight.symmetric else "affine"
    return f"{weight.bits}-bit {kind} weights by {weight.granularity}{size}"


def activation_in_words(activation: ActivationFormat) -> str:
    """An activation format for a person."""
    if activation.mode == "none":
        return "float activations" if activation.bits == FLOAT_BITS else f"{activation.bits}-bit activations"
    method = "" if activation.calibration == "minmax" else f" ({activation.calibration})"
    return f"{activation.bits}-bit {activation.mode} activations{method}"


def prune_in_words(prune: Prune) -> str:
    """A pruning entry for a person."""
    share = f"{prune.ratio:.0%}" if prune.threshold is None else f"below {prune.threshold:g}"
    return f"{share} pruned by {prune.granularity} ({prune.criterion})"
