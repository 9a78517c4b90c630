"""Olive: the quantization passes of a run configuration.

The PyTorch passes ``Rtn``, ``Gptq`` and ``KQuant`` quantize all linear layers, with overrides by name; the
ONNX passes name nodes, of which those are understood that `tauten apply` writes. Read in the source of
olive-ai 0.13.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from recipes.importers.importing import Draft, Imported
from spaces import ActivationFormat, Calibration, InvalidRecipe, Reader, WeightFormat, escape

if TYPE_CHECKING:
    from spaces import LayerInventory

_WEIGHT_ONLY: Final = frozenset({"rtn", "gptq", "kquant"})
_ONNX: Final = {"onnxstaticquantization": "static", "onnxdynamicquantization": "dynamic"}
_METHODS: Final[dict[str, Calibration]] = {
    "minmax": "minmax",
    "percentile": "percentile",
    "entropy": "entropy",
}
_NODE: Final = re.compile(r"@(?P<layer>[^@]+)@\d+(_MatMul)?")


@dataclass(frozen=True, slots=True)
class OliveReader:
    """Weight-only passes, and the static and dynamic ONNX passes."""

    def read(self, document: Any, inventory: LayerInventory) -> Imported:
        """See `Importer`."""
        draft = Draft(inventory)
        passes = Reader(document, "", InvalidRecipe).required("passes")
        for name, entry in Reader(passes, "/passes", InvalidRecipe).rest(lambda item, _: item).items():
            where = f"/passes/{escape(name)}"
            read = Reader(entry, where, InvalidRecipe)
            kind = read.text("type")
            if kind.lower() in _WEIGHT_ONLY:
                _weights(draft, entry, where)
            elif kind.lower() in _ONNX:
                _nodes(draft, entry, where, _ONNX[kind.lower()])
            else:
                draft.ignored.append(f"{where}: the pass {kind} has no counterpart in a policy")
        return draft.done()


def _weights(draft: Draft, entry: dict[str, Any], where: str) -> None:
    read = Reader(entry, where, InvalidRecipe)
    bits = _bits(read.raw("bits", 4), f"{where}/bits")
    size, symmetric = read.raw("group_size", 128), read.flag("sym", False)
    for target, override in read.mapping("overrides", lambda item, _: item).items():
        at = f"{where}/overrides/{escape(target)}"
        own = Reader(override, at, InvalidRecipe)
        form = _format(
            _bits(own.raw("bits", bits), f"{at}/bits"),
            own.raw("group_size", size),
            own.flag("symmetric", symmetric),
            at,
        )
        draft.quantize(draft.find(target, at), form, None)
    draft.quantize(draft.find("Linear", where), _format(bits, size, symmetric, where), None)
    if read.flag("embeds", False):
        draft.ignored.append(f"{where}/embeds: an embedding takes a scale by row, not by group")
    draft.ignored.append(f"{where}: bits are taken, the method {entry['type']} is not")


def _format(bits: int, size: Any, symmetric: bool, where: str) -> WeightFormat:
    read = Reader({"group_size": size}, where, InvalidRecipe)
    group = read.whole("group_size", low=-1)
    by_tensor, by_channel = group == 0, group == -1
    granularity: Any = "tensor" if by_tensor else "channel" if by_channel else "group"
    return read.build(WeightFormat, bits, granularity, None if by_tensor or by_channel else group, symmetric)


def _bits(value: Any, where: str) -> int:
    text = str(value).lower().removeprefix("u").removeprefix("int")
    if not text.isdecimal():
        raise InvalidRecipe.at(where, f"must be a number of bits, not {value!r}")
    return int(text)


def _nodes(draft: Draft, entry: dict[str, Any], where: str, mode: Any) -> None:
    read = Reader(entry, where, InvalidRecipe)
    nodes = read.texts("nodes_to_quantize", ())
    if not nodes:
        raise InvalidRecipe.at(f"{where}/nodes_to_quantize", "must name nodes: a policy names layers")
    granularity: Any = "channel" if read.flag("per_channel", False) else "tensor"
    bits = _bits(read.raw("precision", "int8"), f"{where}/precision")
    weight = WeightFormat(bits, granularity, symmetric=read.flag("weight_symmetric", True))
    method = read.text("calibrate_method", "MinMax").lower()
    if method not in _METHODS:
        raise InvalidRecipe.at(
            f"{where}/calibrate_method", f"{method!r} is not one of: {', '.join(_METHODS)}"
        )
    activation = ActivationFormat(8, mode, _METHODS[method] if mode == "static" else "minmax")
    for index, node in enumerate(nodes):
        match = _NODE.fullmatch(node)
        at = f"{where}/nodes_to_quantize/{index}"
        if match is None:
            raise InvalidRecipe.at(at, f"{node!r} is no node of the files of `tauten apply`")
        draft.quantize(
            draft.find(match["layer"].replace("%40", "@").replace("%25", "%"), at), weight, activation
        )
