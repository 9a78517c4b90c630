"""One converter a file; the registry names them all."""

from recipes.converters.registry import CONVERTERS, FORMATS, Format, convert, find_converter

__all__ = ["CONVERTERS", "FORMATS", "Format", "convert", "find_converter"]
