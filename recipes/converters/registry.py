"""The formats by name, and conversion to any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

from recipes.converters.aimet import Aimet
from recipes.converters.deployment_notes import DeploymentNotes
from recipes.converters.llm_compressor import LlmCompressor
from recipes.converters.modelopt import ModelOpt
from recipes.converters.neural_compressor import NeuralCompressor
from recipes.converters.nncf import Nncf
from recipes.converters.olive import Olive
from recipes.converters.onnxruntime import OnnxRuntime
from recipes.converters.tauten import Tauten
from recipes.converters.torch_pruning import TorchPruning
from recipes.converters.torchao import TorchAo
from recipes.patterns import layer_names
from spaces import UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from recipes.conversion import Conversion, Converter
    from recipes.recipe import Recipe
    from spaces import LayerInventory

Format = Literal[
    "aimet",
    "deployment-notes",
    "llm-compressor",
    "modelopt",
    "neural-compressor",
    "nncf",
    "olive",
    "onnxruntime",
    "tauten",
    "torch-pruning",
    "torchao",
]
"""A format's name."""

CONVERTERS: Final[Mapping[str, Converter]] = {
    "aimet": Aimet(),
    "deployment-notes": DeploymentNotes(),
    "llm-compressor": LlmCompressor(),
    "modelopt": ModelOpt(),
    "neural-compressor": NeuralCompressor(),
    "nncf": Nncf(),
    "olive": Olive(),
    "onnxruntime": OnnxRuntime(),
    "tauten": Tauten(),
    "torch-pruning": TorchPruning(),
    "torchao": TorchAo(),
}

FORMATS: Final[tuple[str, ...]] = get_args(Format)


def find_converter(name: str) -> Converter:
    """The converter of a format.

    Raises:
        UnknownName: there is none; the choices are listed.
    """
    if name not in CONVERTERS:
        raise UnknownName("format", name, FORMATS)
    return CONVERTERS[name]


def convert(recipe: Recipe, name: str, inventory: LayerInventory) -> Conversion:
    """A recipe in another format, its patterns written out for a model.

    Args:
        recipe: layers by name or by pattern.
        name: of the format.
        inventory: of the model that the policy is for: its student, not pruned.

    Raises:
        UnknownName: there is no such format.
        InvalidRecipe: the model lacks layers that the recipe names, all of them listed.
    """
    converter = find_converter(name)
    return converter.convert(recipe.for_layers(layer_names(inventory)), inventory)
