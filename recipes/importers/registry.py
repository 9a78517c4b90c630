"""The formats that can be imported, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from recipes.importers.llm_compressor import LlmCompressorReader
from recipes.importers.olive import OliveReader
from recipes.importers.torchao import TorchAoReader
from recipes.yaml_text import load_yaml
from spaces import InvalidRecipe, InvalidValue, UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recipes.importers.importing import Imported, Importer
    from spaces import LayerInventory

IMPORTERS: Final[Mapping[str, Importer]] = {
    "llm-compressor": LlmCompressorReader(),
    "olive": OliveReader(),
    "torchao": TorchAoReader(),
}


def import_policy(text: str, name: str, inventory: LayerInventory) -> Imported:
    """The policy that another tool's recipe says for a model.

    Args:
        text: of the file, YAML or JSON, which YAML holds.
        name: of the format.
        inventory: of the model, since the file may name classes and patterns.

    Raises:
        UnknownName: there is no such format.
        InvalidRecipe: the text is not of the format, or names layers that the model lacks.
    """
    if name not in IMPORTERS:
        raise UnknownName("format", name, tuple(IMPORTERS))
    try:
        return IMPORTERS[name].read(load_yaml(text), inventory)
    except InvalidRecipe:
        raise
    except InvalidValue as error:
        raise InvalidRecipe(error.faults) from None
