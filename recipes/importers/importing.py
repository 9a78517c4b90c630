"""What importers share: finding the layers that another recipe means, and saying what was not taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from recipes.patterns import PREFIX, check_pattern
from spaces import InvalidPolicy, InvalidRecipe, LayerPolicy, Policy

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Mapping

    from spaces import ActivationFormat, LayerInventory, Prune, WeightFormat

CLASSES: Final[Mapping[str, frozenset[str]]] = {
    "Linear": frozenset({"linear"}),
    "Embedding": frozenset({"embedding"}),
    "Conv2d": frozenset({"conv", "depthwise-conv", "grouped-conv"}),
    "LSTM": frozenset({"lstm"}),
    "GRU": frozenset({"gru"}),
}
"""Operators by the PyTorch class that other tools name."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A policy with what its source says besides.

    Attributes:
        policy: every layer by name.
        ignored: what was not taken, in words, each with its place in the file.
    """

    policy: Policy
    ignored: tuple[str, ...]

    def report(self) -> dict[str, Any]:
        """The JSON form."""
        return {"policy": self.policy.to_dict(), "ignored": list(self.ignored)}


class Importer(Protocol):
    """Reads recipes of one format."""

    def read(self, document: Any, inventory: LayerInventory) -> Imported:
        """The policy of a document for a model.

        Raises:
            InvalidRecipe: the document is not of the format, or names layers that the model lacks.
        """
        ...


@dataclass
class Draft:
    """A policy while it is read: parts by layer, and what was not taken.

    Attributes:
        inventory: of the model.
        layers: by module path.
        ignored: in words.
    """

    inventory: LayerInventory
    layers: dict[str, LayerPolicy] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    def find(self, target: str, where: str) -> list[str]:
        """The layers that a target means: a name, a pattern after ``re:``, or a class.

        Raises:
            InvalidRecipe: it means none.
        """
        names = [info.name for info in self.inventory.layers]
        if target in CLASSES:
            found = [info.name for info in self.inventory.layers if info.op in CLASSES[target]]
        elif target.startswith(PREFIX):
            found = [name for name in names if _compiled(target, where).match(name)]
        else:
            found = [name for name in names if name == target.removesuffix(".weight")]
        if not found:
            known = ", ".join(names[:20]) + (" …" if len(names) > 20 else "")  # noqa: PLR2004
            raise InvalidRecipe.at(where, f"{target!r} means no layer of the model; it has {known}")
        return found

    def quantize(
        self, names: Iterable[str], weight: WeightFormat, activation: ActivationFormat | None
    ) -> None:
        """Gives layers their formats; the first that says something of a layer holds."""
        for name in names:
            known = self.layers.get(name, LayerPolicy())
            if known.weight is None:
                self.layers[name] = LayerPolicy(known.prune, weight, activation)

    def prune(self, names: Iterable[str], prune: Prune) -> None:
        """Gives layers their pruning; the first that says something of a layer holds."""
        for name in names:
            known = self.layers.get(name, LayerPolicy())
            if known.prune is None:
                self.layers[name] = LayerPolicy(prune, known.weight, known.activation)

    def done(self) -> Imported:
        """The finished policy."""
        return Imported(Policy(layers=self.layers), tuple(self.ignored))


def _compiled(target: str, where: str) -> re.Pattern[str]:
    try:
        return check_pattern(target)
    except InvalidPolicy as error:
        raise InvalidRecipe.at(where, error.faults[0].detail) from None
