"""What becomes of a recipe in another tool's format: its text, and what the format could not say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory


@dataclass(frozen=True, slots=True)
class Loss:
    """A part of a policy that a format has no words for; it is left out, never approximated.

    Attributes:
        layer: module path, or ``None`` where it is about the policy as a whole.
        part: of the layer (``prune``, ``weight``, ``activation``), or of the policy (``student``,
            ``recovery``).
        lost: what the policy asks, and why the format cannot say it.
        remedy: what the reader must do to get it.
    """

    layer: str | None
    part: str
    lost: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"layer": self.layer, "part": self.part, "lost": self.lost, "remedy": self.remedy}

    def __str__(self) -> str:
        where = self.part if self.layer is None else f"{self.layer} {self.part}"
        return f"{where}: {self.lost}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Conversion:
    """A recipe in another format.

    Attributes:
        format: of `recipes.converters.CONVERTERS`.
        tool: the package that reads it, and the version that it was checked with.
        text: the file's text, ending with a line end.
        losses: what the text does not say; empty if it says the whole policy.
    """

    format: str
    tool: str
    text: str
    losses: tuple[Loss, ...]

    def report(self) -> dict[str, Any]:
        """The loss report as JSON."""
        return {
            "format": self.format,
            "tool": self.tool,
            "complete": not self.losses,
            "losses": [loss.to_dict() for loss in self.losses],
        }


class Converter(Protocol):
    """Writes recipes in one format."""

    @property
    def tool(self) -> str:
        """The package that reads the format, with the version that it was checked with."""
        ...

    @property
    def suffix(self) -> str:
        """Of a file in this format, with the dot."""
        ...

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The recipe in this format.

        Args:
            recipe: its layers by name, all of them in the inventory.
            inventory: of the model that the policy's layers are of: the student, not pruned.
        """
        ...
