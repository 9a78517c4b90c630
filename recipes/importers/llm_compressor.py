"""llm-compressor: the quantizing and pruning modifiers of a recipe, whatever stage they stand in.

Read in the source of llmcompressor 0.14 and compressed-tensors 0.19.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.importers.importing import Draft, Imported
from spaces import ActivationFormat, InvalidRecipe, Prune, Reader, WeightFormat, escape, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spaces import LayerInventory

_QUANTIZERS: Final = frozenset({"QuantizationModifier", "GPTQModifier", "AWQModifier"})
_PRUNERS: Final = frozenset({"SparseGPTModifier", "WandaPruningModifier", "MagnitudePruningModifier"})
_SCHEMES: Final[dict[str, tuple[WeightFormat, ActivationFormat | None]]] = {
    "W8A8": (WeightFormat(8), ActivationFormat(8, "dynamic")),
    "W8A16": (WeightFormat(8), None),
    "W4A16": (WeightFormat(4, "group", 128), None),
    "W4A16_ASYM": (WeightFormat(4, "group", 128, symmetric=False), None),
    "W4A8": (WeightFormat(4, "group", 128), ActivationFormat(8, "dynamic")),
}
"""What the preset schemes of compressed-tensors say."""


@dataclass(frozen=True, slots=True)
class LlmCompressorReader:
    """Integer schemes and unstructured or n:m sparsity."""

    def read(self, document: Any, inventory: LayerInventory) -> Imported:
        """See `Importer`."""
        draft = Draft(inventory)
        found = list(_modifiers(document, ""))
        if not found:
            raise InvalidRecipe.at("", "holds no *_modifiers; is this a recipe of llm-compressor?")
        for kind, where, data in found:
            if kind in _QUANTIZERS:
                _quantize(draft, data, where, kind)
            elif kind in _PRUNERS:
                _prune(draft, data, where, kind)
            else:
                draft.ignored.append(f"{where}: {kind} has no counterpart in a policy")
        return draft.done()


def _modifiers(document: Any, where: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every modifier: its class, its place and its fields."""
    if not isinstance(document, dict):
        raise InvalidRecipe.at(where, f"must be an object, not {shown(document)}")
    for key, value in document.items():
        at = f"{where}/{escape(str(key))}"
        if str(key).endswith("_modifiers"):
            for kind, data in (value or {}).items():
                yield str(kind), f"{at}/{escape(str(kind))}", data or {}
        elif str(key).endswith("_stage"):
            yield from _modifiers(value, at)


def _quantize(draft: Draft, data: dict[str, Any], where: str, kind: str) -> None:
    if kind != "QuantizationModifier":
        draft.ignored.append(f"{where}: bits are taken, the method of {kind} is not")
    ignored = _targets(data.get("ignore"))
    left = {name for target in ignored for name in _found_or_none(draft, target, where)}
    groups = data.get("config_groups") or {}
    for key, group in groups.items():
        at = f"{where}/config_groups/{escape(str(key))}"
        read = Reader(group, at, InvalidRecipe)
        weight = read.optional("weights", _weights)
        activation = read.optional("input_activations", _activations)
        if read.raw("output_activations") is not None:
            draft.ignored.append(f"{at}/output_activations: a policy quantizes a layer's inputs")
        _apply(draft, read.texts("targets"), at, left, weight, activation)
    scheme = data.get("scheme")
    if scheme is not None:
        if scheme not in _SCHEMES:
            choices = ", ".join(_SCHEMES)
            raise InvalidRecipe.at(f"{where}/scheme", f"{shown(scheme)} is not one of: {choices}")
        _apply(draft, _targets(data.get("targets")) or ("Linear",), where, left, *_SCHEMES[scheme])


def _apply(
    draft: Draft,
    targets: tuple[str, ...],
    where: str,
    left: set[str],
    weight: WeightFormat | None,
    activation: ActivationFormat | None,
) -> None:
    if weight is None:
        draft.ignored.append(f"{where}: activations without quantized weights were not taken")
        return
    for target in targets:
        draft.quantize([name for name in draft.find(target, where) if name not in left], weight, activation)


def _weights(document: Any, where: str) -> WeightFormat:
    read = Reader(document, where, InvalidRecipe)
    if read.text("type", "int") != "int":
        raise InvalidRecipe.at(f"{where}/type", "a policy has integers; float formats are not read")
    strategy: Any = read.text("strategy", "tensor", ("tensor", "channel", "group"))
    bits, size = read.whole("num_bits", 8), read.whole_or_none("group_size")
    symmetric = read.flag("symmetric", True)
    build = Reader({}, where, InvalidRecipe)
    return build.build(WeightFormat, bits, strategy, size if strategy == "group" else None, symmetric)


def _activations(document: Any, where: str) -> ActivationFormat:
    read = Reader(document, where, InvalidRecipe)
    if read.text("type", "int") != "int":
        raise InvalidRecipe.at(f"{where}/type", "a policy has integers; float formats are not read")
    mode: Any = "dynamic" if read.flag("dynamic", False) else "static"
    observer = read.text("observer", "minmax")
    calibration: Any = "mse" if mode == "static" and "mse" in observer else "minmax"
    bits = read.whole("num_bits", 8)
    return Reader({}, where, InvalidRecipe).build(ActivationFormat, bits, mode, calibration)


def _prune(draft: Draft, data: dict[str, Any], where: str, kind: str) -> None:
    read = Reader(data, where, InvalidRecipe)
    key = "final_sparsity" if "final_sparsity" in data else "sparsity"
    ratio, mask = read.number(key), read.text("mask_structure", "0:0")
    build = Reader({}, where, InvalidRecipe)
    prune = build.build(Prune, ratio, "weight" if mask in {"0:0", "unstructured"} else mask, "l1")
    if kind != "MagnitudePruningModifier":
        draft.ignored.append(f"{where}: sparsity is taken, by magnitude; the method of {kind} is not")
    left = {name for target in _targets(data.get("ignore")) for name in _found_or_none(draft, target, where)}
    for target in _targets(data.get("targets")) or ("Linear",):
        draft.prune([name for name in draft.find(target, where) if name not in left], prune)


def _targets(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(item) for item in value or ())


def _found_or_none(draft: Draft, target: str, where: str) -> list[str]:
    """Layers to leave; one that the model lacks is left anyhow."""
    try:
        return draft.find(target, where)
    except InvalidRecipe:
        return []
