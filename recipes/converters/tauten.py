"""Tauten's own recipe file, which says everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from recipes.conversion import Conversion

if TYPE_CHECKING:
    from recipes.recipe import Recipe
    from spaces import LayerInventory

FORMAT: Final = "tauten"


@dataclass(frozen=True, slots=True)
class Tauten:
    """The recipe as it is."""

    tool: str = "tauten"
    suffix: str = ".yaml"

    def convert(self, recipe: Recipe, inventory: LayerInventory) -> Conversion:
        """The file's text; see `Converter`."""
        return Conversion(FORMAT, self.tool, recipe.to_yaml(), ())
