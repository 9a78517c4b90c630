"""How a policy leaves: the recipe file, and one converter a file for other tools."""

from recipes.conversion import Conversion, Converter, Loss
from recipes.converters import CONVERTERS, FORMATS, Format, convert, find_converter
from recipes.patterns import fold, has_patterns, layer_names, unfold
from recipes.recipe import SCHEMA, Recipe
from recipes.schema import recipe_schema
from recipes.yaml_text import dump_yaml, load_yaml

__all__ = [
    "CONVERTERS",
    "FORMATS",
    "SCHEMA",
    "Conversion",
    "Converter",
    "Format",
    "Loss",
    "Recipe",
    "convert",
    "dump_yaml",
    "find_converter",
    "fold",
    "has_patterns",
    "layer_names",
    "load_yaml",
    "recipe_schema",
    "unfold",
]
