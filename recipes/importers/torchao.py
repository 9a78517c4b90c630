"""torchao: an ``FqnToConfig`` as its ``config_to_dict`` writes it.

A name comes before a pattern, of which the first that fits holds, and ``_default`` is for linear layers; a
``null`` leaves what it names in float. Read in the source of torchao 0.18.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.importers.importing import Draft, Imported
from recipes.patterns import PREFIX
from spaces import ActivationFormat, InvalidRecipe, Reader, WeightFormat, escape, shown

if TYPE_CHECKING:
    from spaces import LayerInventory

_DEFAULT: Final = "_default"
_DYNAMIC: Final = ActivationFormat(8, "dynamic")
_WHERE: Final = "/_data/fqn_to_config"


@dataclass(frozen=True, slots=True)
class TorchAoReader:
    """Weight-only and dynamic configurations of integers."""

    def read(self, document: Any, inventory: LayerInventory) -> Imported:
        """See `Importer`."""
        kind, data = _typed(document, "")
        if kind not in {"FqnToConfig", "ModuleFqnToConfig"}:
            raise InvalidRecipe.at("/_type", f"{shown(kind)} is not FqnToConfig")
        entries = data.get("fqn_to_config") or data.get("module_fqn_to_config") or {}
        if not isinstance(entries, dict):
            raise InvalidRecipe.at(_WHERE, f"must be an object, not {shown(entries)}")
        draft, skipped = Draft(inventory), set[str]()
        for target in sorted(entries, key=_precedence):
            where = f"{_WHERE}/{escape(target)}"
            names = [
                name
                for name in draft.find("Linear" if target == _DEFAULT else target, where)
                if name not in skipped
            ]
            if entries[target] is None:
                skipped.update(name for name in names if name not in draft.layers)
                continue
            formats = _formats(entries[target], where, draft)
            if formats is not None:
                draft.quantize(names, *formats)
        return draft.done()


def _precedence(target: str) -> int:
    return 2 if target == _DEFAULT else int(target.startswith(PREFIX))


def _formats(document: Any, where: str, draft: Draft) -> tuple[WeightFormat, ActivationFormat | None] | None:
    kind, data = _typed(document, where)
    match kind:
        case "IntxWeightOnlyConfig":
            return _intx(data, "", where), None
        case "Int8DynamicActivationIntxWeightConfig":
            return _intx(data, "weight_", where), _DYNAMIC
        case "Int8WeightOnlyConfig":
            group = data.get("group_size")
            weight = WeightFormat(8, _by(data)) if group is None else WeightFormat(8, "group", group)
            return weight, None
        case "Int8DynamicActivationInt8WeightConfig":
            return WeightFormat(8, _by(data)), _DYNAMIC
        case "Int4WeightOnlyConfig":
            size = Reader(data, where, InvalidRecipe).whole("group_size", 128)
            return WeightFormat(4, "group", size, symmetric=False), None
        case _:
            draft.ignored.append(f"{where}: {kind} has no counterpart in a policy")
            return None


def _intx(data: dict[str, Any], prefix: str, where: str) -> WeightFormat:
    dtype = (data.get("weight_dtype") or {}).get("_data")
    if not isinstance(dtype, str) or not dtype.startswith("int") or not dtype[3:].isdecimal():
        raise InvalidRecipe.at(f"{where}/_data/weight_dtype", f"must be int1 to int8, not {shown(dtype)}")
    mapping = (data.get(f"{prefix}mapping_type") or {}).get("_data", "SYMMETRIC")
    granularity = data.get(f"{prefix}granularity") or {}
    size = (granularity.get("_data") or {}).get("group_size")
    by_group = granularity.get("_type") == "PerGroup"
    read = Reader({"bits": int(dtype[3:])}, where, InvalidRecipe)
    return read.build(
        WeightFormat,
        read.whole("bits"),
        "group" if by_group else "channel",
        size if by_group else None,
        mapping.startswith("SYMMETRIC"),
    )


def _by(data: dict[str, Any]) -> Any:
    granularity = data.get("granularity")
    parts = granularity if isinstance(granularity, list) else [granularity]
    kinds = {part.get("_type") for part in parts if isinstance(part, dict)}
    return "tensor" if kinds == {"PerTensor"} else "channel"


def _typed(document: Any, where: str) -> tuple[str, dict[str, Any]]:
    read = Reader(document, where, InvalidRecipe)
    data = read.required("_data")
    if not isinstance(data, dict):
        raise InvalidRecipe.at(f"{where}/_data", f"must be an object, not {shown(data)}")
    return read.text("_type"), data
