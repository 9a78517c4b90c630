"""Edits of an ONNX graph in place: nodes before, after or instead of others, and their constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.quantization.numerics import Array


class Editor:
    """A graph under construction; it is whole again after `finish`.

    Args:
        graph: edited in place.
    """

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.nodes: list[Any] = list(graph.node)
        self._stored = {item.name: item for item in graph.initializer}
        self._taken = set(self._stored)

    def named(self, name: str) -> Any:
        """The node of a name."""
        return next(node for node in self.nodes if node.name == name)

    def is_stored(self, name: str) -> bool:
        """A value is an initializer."""
        return name in self._stored

    def array(self, name: str) -> Array:
        """The numbers of an initializer."""
        array: Array = numpy_helper.to_array(self._stored[name])
        return array

    def store(self, name: str, array: Array) -> str:
        """Adds an initializer; a name that is taken gets a number. Returns its name."""
        unique, count = name, 0
        while unique in self._taken:
            count += 1
            unique = f"{name}.{count}"
        self._taken.add(unique)
        tensor = numpy_helper.from_array(array, unique)
        self.graph.initializer.append(tensor)
        self._stored[unique] = tensor
        return unique

    def before(self, node: Any, nodes: Sequence[Any]) -> None:
        """Inserts nodes ahead of a node."""
        at = self._index(node)
        self.nodes[at:at] = nodes

    def replace(self, node: Any, nodes: Sequence[Any]) -> None:
        """Puts nodes in a node's place."""
        at = self._index(node)
        self.nodes[at : at + 1] = nodes

    def finish(self) -> None:
        """Writes the nodes back, drops initializers that nobody reads, and shapes by old names."""
        nodes = [_copy(node) for node in self.nodes]
        del self.graph.node[:]
        self.graph.node.extend(nodes)
        read = {value for node in nodes for value in node.input} | {item.name for item in self.graph.output}
        kept = [item for item in self.graph.initializer if item.name in read]
        copies = [_copy(item) for item in kept]
        del self.graph.initializer[:]
        self.graph.initializer.extend(copies)
        del self.graph.value_info[:]

    def _index(self, node: Any) -> int:
        return next(index for index, other in enumerate(self.nodes) if other is node)


def attribute(node: Any, name: str, default: Any) -> Any:
    """A node's attribute, or a default."""
    found = next((item for item in node.attribute if item.name == name), None)
    return default if found is None else helper.get_attribute_value(found)


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
