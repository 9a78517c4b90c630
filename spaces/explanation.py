"""What a target lets a search do with each layer of a model, and why the rest may not be searched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from spaces.defaults import defaults_for, with_defaults
from spaces.formats import FLOAT_BITS
from spaces.prune import n_of_m
from spaces.request import Bits, SpaceRequest
from spaces.space import SearchSpace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spaces.capabilities import Capabilities
    from spaces.inventory import LayerInfo, LayerInventory
    from spaces.space import StudentSpace


@dataclass(frozen=True, slots=True)
class LayerExplanation:
    """One layer's choices by default, what else may be asked for, and what may not.

    Attributes:
        layer: module path.
        op: of `LayerInfo.op`.
        bits: offered by default, mild to severe.
        also: formats for which the target has a kernel, and that a job may ask for.
        prune: granularity with its ratios, or ``None``.
        refused: what may not be searched, with the reason, by what it is.
    """

    layer: str
    op: str
    bits: tuple[str, ...]
    also: tuple[str, ...]
    prune: tuple[str, tuple[float, ...]] | None
    refused: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        prune = self.prune and {"granularity": self.prune[0], "ratios": list(self.prune[1])}
        return {
            "layer": self.layer,
            "op": self.op,
            "bits": list(self.bits),
            "also": list(self.also),
            "prune": prune,
            "refused": dict(self.refused),
        }


def explain(
    inventory: LayerInventory, capabilities: Capabilities, hint: str | None = None
) -> tuple[list[LayerExplanation], tuple[str, ...]]:
    """Each layer of a model on a target, and the rules that shaped the default choices.

    Args:
        inventory: of the reference.
        capabilities: of the target.
        hint: of `spaces.HINTS`, or ``None``.

    Raises:
        InvalidSpace: the hint is unknown, or nothing of the model can be searched on the target.
    """
    request = SpaceRequest(hint=hint)
    space = SearchSpace.build(request, {None: inventory}, capabilities).students[0]
    open_request = with_defaults(request, capabilities)
    layers = [
        LayerExplanation(
            layer.name,
            layer.op,
            _bits(space, layer),
            tuple(_also(space, layer, capabilities)),
            _prune(space, layer),
            dict(_refused(layer, inventory, open_request, capabilities)),
        )
        for layer in inventory.layers
    ]
    return layers, defaults_for(capabilities, hint).reasons


def short(bits: Bits) -> str:
    """A choice of bits in a few letters, such as ``w8a8 static``; ``float32`` where nothing is quantized."""
    if bits.is_float:
        return "float32"
    mode = "" if bits.mode == "none" else f" {bits.mode}"
    return f"w{bits.weight}a{bits.activation}{mode}"


def _bits(space: StudentSpace, layer: LayerInfo) -> tuple[str, ...]:
    axis = space.bits.get(layer.name)
    return ("float32",) if axis is None else tuple(short(item) for item in axis.choices)


def _also(space: StudentSpace, layer: LayerInfo, capabilities: Capabilities) -> Iterator[str]:
    offered = _bits(space, layer)
    for kernel in capabilities.kernels:
        name = short(Bits(kernel.weight_bits, kernel.activation_bits, kernel.mode))
        if kernel.op in {layer.op, "*"} and name not in offered:
            yield name


def _prune(space: StudentSpace, layer: LayerInfo) -> tuple[str, tuple[float, ...]] | None:
    axis = space.prune.get(layer.name)
    return None if axis is None else (space.granularity[layer.name], axis.choices)


def _refused(
    layer: LayerInfo, inventory: LayerInventory, request: SpaceRequest, capabilities: Capabilities
) -> Iterator[tuple[str, str]]:
    kernels = [kernel for kernel in capabilities.kernels if kernel.op in {layer.op, "*"}]
    computing = [kernel.activation_bits for kernel in kernels if kernel.activation_bits < FLOAT_BITS]
    if not kernels:
        yield "fewer bits", f"the target has no kernel of low precision for {layer.op}"
    elif not computing:
        yield (
            "integer arithmetic",
            f"the target stores weights of {layer.op} in fewer bits, and computes in float32",
        )
    else:
        lowest = min(computing)
        yield f"below {lowest} bits", f"no kernel for {layer.op} computes in fewer bits than {lowest}"
    yield from _refused_pruning(layer, inventory, request, capabilities)
    if "weight" not in capabilities.sparsity:
        patterns = ", ".join(name for name in capabilities.sparsity if n_of_m(name))
        only = f"; it skips them in the pattern {patterns} alone" if patterns else ""
        yield "unstructured zeros", f"the target computes zeros like any weight{only}"


def _refused_pruning(
    layer: LayerInfo, inventory: LayerInventory, request: SpaceRequest, capabilities: Capabilities
) -> Iterator[tuple[str, str]]:
    group = inventory.group_of.get(layer.name)
    if group is None:
        yield "channels", "its output is in no group of channels that could be removed"
    elif group.fixed_because is not None:
        yield f"{group.granularity}s", group.fixed_because
    elif group.leader != layer.name:
        yield f"{group.granularity}s", f"goes with {group.leader}, where the ratio stands"
    elif group.granularity not in request.granularities:
        yield f"{group.granularity}s", "left out by the hint; ask for the granularity to have it"
    elif len({group.kept(ratio, capabilities.channel_multiple) for ratio in request.ratios}) == 1:
        multiple = capabilities.channel_multiple
        yield f"{group.granularity}s", f"rounding {group.units} to multiples of {multiple} undoes every ratio"
