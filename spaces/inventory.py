"""What a model offers to a search: its weight layers, how they are coupled, its runs of repeated blocks.

Plain values; the inventory is made where torch is (`compression.inventory`) and read where it is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from spaces.errors import InvalidValue
from spaces.reading import Reader


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One weight layer.

    Attributes:
        name: module path in the model.
        op: ``conv``, ``depthwise-conv``, ``grouped-conv``, ``linear``, ``embedding``, ``lstm`` or ``gru``.
        weight_shape: of the weight tensor, output channels first.
        macs: multiply-accumulates for one example, all calls of the layer together.
        parameters: weights and biases.
        calls: how often the layer runs for one example.
    """

    name: str
    op: str
    weight_shape: tuple[int, ...]
    macs: int
    parameters: int
    calls: int = 1

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without a single call."""
        form: dict[str, Any] = {
            "name": self.name,
            "op": self.op,
            "weight_shape": list(self.weight_shape),
            "macs": self.macs,
            "parameters": self.parameters,
        }
        return form if self.calls == 1 else form | {"calls": self.calls}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> LayerInfo:
        """Reads the JSON form."""
        read = Reader(document, pointer)
        return read.build(
            cls,
            read.text("name"),
            read.text("op"),
            read.wholes("weight_shape"),
            read.whole("macs"),
            read.whole("parameters"),
            read.whole("calls", 1, low=1),
        )


@dataclass(frozen=True, slots=True)
class PruneGroup:
    """Layers whose output channels, or heads, can only be removed together.

    Attributes:
        leader: the group's first layer in execution order; a ratio stands there.
        layers: all layers whose *output* belongs to the group, in execution order.
        units: output channels of the leader, or attention heads.
        fixed_because: why the group cannot be pruned, or ``None``.
        granularity: what a unit is: ``channel`` or ``head``.
        multiple: units that can only go together, as one channel of each group of a grouped convolution.
    """

    leader: str
    layers: tuple[str, ...]
    units: int
    fixed_because: str | None = None
    granularity: str = "channel"
    multiple: int = 1

    def kept(self, ratio: float, channel_multiple: int) -> int:
        """Units that remain when a share is removed; only channels are rounded to the target's multiple.

        A grouped convolution keeps two channels in each group: with one, it is a depthwise convolution of
        more inputs than outputs, which cannot be cut further.
        """
        rounded = channel_multiple if self.granularity == "channel" else 1
        kept = kept_channels(self.units, ratio, math.lcm(rounded, self.multiple))
        return kept if self.multiple == 1 else min(self.units, max(kept, 2 * self.multiple))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "leader": self.leader,
            "layers": list(self.layers),
            "units": self.units,
            "fixed_because": self.fixed_because,
            "granularity": self.granularity,
            "multiple": self.multiple,
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> PruneGroup:
        """Reads the JSON form."""
        read = Reader(document, pointer)
        return read.build(
            cls,
            read.text("leader"),
            read.texts("layers"),
            read.whole("units", low=1),
            read.text_or_none("fixed_because"),
            read.text("granularity", "channel", ("channel", "head")),
            read.whole("multiple", 1, low=1),
        )


@dataclass(frozen=True, slots=True)
class BlockRun:
    """Repeated blocks of one container, some of which can be removed whole.

    Attributes:
        container: module path of the container; a ratio of granularity ``layer`` stands there.
        blocks: all blocks of the run, by module path, in execution order.
        removable: those that map a tensor to one of the same shape.
    """

    container: str
    blocks: tuple[str, ...]
    removable: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "container": self.container,
            "blocks": list(self.blocks),
            "removable": list(self.removable),
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> BlockRun:
        """Reads the JSON form."""
        read = Reader(document, pointer)
        return read.build(cls, read.text("container"), read.texts("blocks"), read.texts("removable"))


@dataclass(frozen=True)
class LayerInventory:
    """The weight layers of one model, in execution order, how they are coupled, and its runs of blocks.

    Raises:
        InvalidValue: two layers share a name, a group names a layer that does not exist or that another group
            has, or its leader is not its first layer.
    """

    layers: tuple[LayerInfo, ...]
    groups: tuple[PruneGroup, ...] = field(default=())
    runs: tuple[BlockRun, ...] = field(default=())

    def __post_init__(self) -> None:
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise InvalidValue.at("/layers", "two layers share a name")
        free = set(names)
        for index, group in enumerate(self.groups):
            where = f"/groups/{index}"
            if group.layers[:1] != (group.leader,):
                raise InvalidValue.at(f"{where}/leader", f"{group.leader!r} is not the group's first layer")
            for position, name in enumerate(group.layers):
                if name not in free:
                    detail = f"{name!r} is no layer of the model, or in a group already"
                    raise InvalidValue.at(f"{where}/layers/{position}", detail)
                free.remove(name)

    @cached_property
    def by_name(self) -> dict[str, LayerInfo]:
        """Layers by module path."""
        return {layer.name: layer for layer in self.layers}

    @cached_property
    def group_of(self) -> dict[str, PruneGroup]:
        """The group that a layer's output belongs to, by layer."""
        return {name: group for group in self.groups for name in group.layers}

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one example."""
        return sum(layer.macs for layer in self.layers)

    @property
    def is_convolutional(self) -> bool:
        """Convolutions make at least half of the multiply-accumulates."""
        return 2 * sum(layer.macs for layer in self.layers if "conv" in layer.op) >= self.macs

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "groups": [group.to_dict() for group in self.groups],
            "runs": [run.to_dict() for run in self.runs],
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> LayerInventory:
        """Reads the JSON form."""
        read = Reader(document, pointer)
        return read.build(
            cls,
            read.items("layers", LayerInfo.from_dict),
            read.items("groups", PruneGroup.from_dict),
            read.items("runs", BlockRun.from_dict, ()),
        )


def kept_channels(channels: int, ratio: float, multiple: int = 1) -> int:
    """Channels that remain when a share is removed.

    What is removed is rounded down, so that what remains is a multiple of `multiple` where the layer had
    that many channels: 63 channels are slower than 64 on every CPU measured.

    Args:
        channels: before pruning, at least 1.
        ratio: share removed, ``0 <= ratio < 1``.
        multiple: the target's ``channel_multiple``.

    Returns:
        A number from 1 to `channels`; ratio 0 returns `channels` itself.
    """
    # The epsilon keeps binary fractions from pushing an exact product up: 10 * (1 - 0.7) exceeds 3.
    remaining = math.ceil(channels * (1.0 - ratio) / multiple - 1e-9) * multiple
    return min(channels, max(remaining, 1))
