"""One importer a file: what another tool's recipe says of bits and sparsity, as a policy."""

from recipes.importers.importing import Imported, Importer
from recipes.importers.registry import IMPORTERS, import_policy

__all__ = ["IMPORTERS", "Imported", "Importer", "import_policy"]
