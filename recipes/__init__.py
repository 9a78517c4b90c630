"""How a policy leaves: the recipe file."""

from recipes.recipe import SCHEMA, Recipe

__all__ = ["SCHEMA", "Recipe"]
