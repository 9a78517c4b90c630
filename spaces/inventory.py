"""What a model offers to a search: its weight layers and channel groups, as plain values.

The inventory is made where torch is (`compression.inventory`), stored, and read where it is not.
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
        op: ``conv``, ``depthwise-conv``, ``grouped-conv`` or ``linear``.
        weight_shape: of the weight tensor, output channels first.
        macs: multiply-accumulates for one example, all calls of the layer together.
        parameters: weights and biases.
    """

    name: str
    op: str
    weight_shape: tuple[int, ...]
    macs: int
    parameters: int

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "op": self.op,
            "weight_shape": list(self.weight_shape),
            "macs": self.macs,
            "parameters": self.parameters,
        }

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
        )


@dataclass(frozen=True, slots=True)
class ChannelGroup:
    """Layers whose output channels can only be removed together.

    Attributes:
        leader: the group's first layer in execution order; a channel ratio stands there.
        layers: all layers whose *output* channels belong to the group, in execution order.
        channels: output channels of the leader.
        fixed_because: why the group cannot be pruned, or ``None``.
    """

    leader: str
    layers: tuple[str, ...]
    channels: int
    fixed_because: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "leader": self.leader,
            "layers": list(self.layers),
            "channels": self.channels,
            "fixed_because": self.fixed_because,
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> ChannelGroup:
        """Reads the JSON form."""
        read = Reader(document, pointer)
        return read.build(
            cls,
            read.text("leader"),
            read.texts("layers"),
            read.whole("channels", low=1),
            read.text_or_none("fixed_because"),
        )


@dataclass(frozen=True)
class LayerInventory:
    """The weight layers of one model, in execution order, and their channel groups.

    Raises:
        InvalidValue: two layers share a name, a group names a layer that does not exist or that another group
            has, or its leader is not its first layer.
    """

    layers: tuple[LayerInfo, ...]
    groups: tuple[ChannelGroup, ...] = field(default=())

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
    def group_of(self) -> dict[str, ChannelGroup]:
        """The channel group that a layer's output belongs to, by layer."""
        return {name: group for group in self.groups for name in group.layers}

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one example."""
        return sum(layer.macs for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "groups": [group.to_dict() for group in self.groups],
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> LayerInventory:
        """Reads the JSON form."""
        read = Reader(document, pointer)
        layers, groups = (
            read.items("layers", LayerInfo.from_dict),
            read.items("groups", ChannelGroup.from_dict),
        )
        return read.build(cls, layers, groups)


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
