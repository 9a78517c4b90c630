"""Imports a file of Python that a user names."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType


def module_of_file(path: Path) -> ModuleType:
    """Runs a file as a module; it may import what lies beside it.

    Raises:
        FileNotFoundError: it does not exist.
        ImportError: it is no Python file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    resolved = path.resolve()
    spec = importlib.util.spec_from_file_location(f"tauten_workload_{resolved.stem}", resolved)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(resolved.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(resolved.parent))
    return module
