"""Torch-Pruning: the arguments of a ``BasePruner`` with ratios by module path.

Its ratio keeps ``int(channels * (1 - ratio))`` of the channels and its ``round_to`` rounds what is kept down,
where a policy rounds up; so the ratios here are those that keep exactly what the policy keeps, without
``round_to``. Its magnitude importance sums what a policy's criterion sums when it neither normalizes nor
averages and leaves BatchNorm out, so the same channels go. Read in the source of 1.6.1, and tested with it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.conversion import Conversion, Loss
from recipes.expressing import QuantizedLayer, prune_in_words, quantized_layers, recovery_losses
from spaces import InvalidRecipe, Reader

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory, Prune, PruneGroup

FORMAT: Final = "torch-pruning"
_USE_RECIPE: Final = "use `tauten apply` for it"
_POWERS: Final = {"l1": 1, "l2": 2}


@dataclass(frozen=True, slots=True)
class TorchPruning:
    """Channel ratios by the criteria ``l1`` and ``l2``, one of them for all layers."""

    tool: str = "torch-pruning 1.6"
    suffix: str = ".json"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The channel pruning of a policy; see `Converter`."""
        policy = recipe.policy
        losses = []
        if policy.student is not None:
            remedy = "build it first, as `tauten apply` does, and prune that"
            losses.append(Loss(None, "student", f"student {policy.student}: not of this format", remedy))
        prunes = {name: layer.prune for name, layer in policy.layers.items() if layer.prune is not None}
        due = {name: prune for name, prune in prunes.items() if not prune.is_empty}
        criterion = _criterion(due)
        ratios: dict[str, float] = {}
        for name, prune in due.items():
            why = _refused(prune, criterion, inventory.group_of.get(name))
            if why is not None:
                losses.append(Loss(name, "prune", f"{prune_in_words(prune)}: {why}", _USE_RECIPE))
                continue
            ratios[name] = _exact_ratio(inventory.group_of[name], prune, _multiple(recipe))
        losses += [_quantization(layer) for layer in quantized_layers(policy, inventory)]
        losses += [
            Loss(loss.layer, loss.part, loss.lost, _USE_RECIPE) for loss in recovery_losses(policy.recovery)
        ]
        text = json.dumps(_document(criterion, ratios), indent=2, ensure_ascii=False) + "\n"
        return Conversion(FORMAT, self.tool, text, tuple(losses))


def _document(criterion: str, ratios: dict[str, float]) -> dict[str, Any]:
    return {
        "importance": {
            "class": "torch_pruning.importance.GroupMagnitudeImportance",
            "arguments": {
                "p": _POWERS[criterion],
                "group_reduction": "sum",
                "normalizer": None,
                "bias": False,
                "target_types": ["torch.nn.modules.conv._ConvNd", "torch.nn.Linear"],
            },
        },
        "pruner": {
            "class": "torch_pruning.BasePruner",
            "arguments": {
                "pruning_ratio": 0.0,
                "max_pruning_ratio": 1.0,
                "round_to": None,
                "global_pruning": False,
                "pruning_ratio_dict": ratios,
            },
        },
    }


def _criterion(due: dict[str, Prune]) -> str:
    """The one criterion of the file: that of most layers."""
    asked = [prune.criterion for prune in due.values() if prune.criterion in _POWERS]
    return max(sorted(set(asked)), key=asked.count, default="l1")


def _refused(prune: Prune, criterion: str, group: PruneGroup | None) -> str | None:
    if prune.granularity != "channel":
        return "it removes channels; its heads, blocks and single weights are not those of a policy"
    if prune.criterion not in _POWERS:
        return "its criterion of that name sums other terms, so other channels would go"
    if group is None or group.granularity != "channel":
        return "the model's channels cannot be removed there"
    return None if prune.criterion == criterion else f"one criterion holds for all layers, here {criterion}"


def _exact_ratio(group: PruneGroup, prune: Prune, multiple: int) -> float:
    """The ratio of which Torch-Pruning keeps what the policy keeps, in each group of a convolution."""
    channels = group.units // group.multiple
    kept = group.kept(prune.ratio, multiple) // group.multiple
    exact = 1 - kept / channels
    # Half a channel more is cut off again, and keeps binary fractions from losing a whole one.
    return exact if int(channels * (1 - exact)) == kept else 1 - (kept + 0.5) / channels


def _multiple(recipe: Recipe) -> int:
    return Reader(recipe.deployment, "/deployment", InvalidRecipe).whole("channel_multiple", 1, low=1)


def _quantization(layer: QuantizedLayer) -> Loss:
    return Loss(layer.name, "weight", f"{layer}: it only prunes", "quantize the pruned model in another tool")
