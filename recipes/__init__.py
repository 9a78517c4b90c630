"""How a policy leaves: the recipe file."""

from recipes.recipe import SCHEMA, Recipe
from recipes.yaml_text import dump_yaml, load_yaml

__all__ = ["SCHEMA", "Recipe", "dump_yaml", "load_yaml"]
