"""A directory of files that are dear to make, named by a digest of all that they are made from."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from spaces import digest_of

if TYPE_CHECKING:
    from collections.abc import Callable


def cache_root() -> Path:
    """Where cached files live: ``$TAUTEN_CACHE``, else ``tauten`` in the user's cache directory."""
    configured = os.environ.get("TAUTEN_CACHE")
    if configured:
        return Path(configured)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tauten"


_used: set[Path] = set()


def use(path: Path) -> Path:
    """Notes a file that this process reads, for those who would evaluate on another machine."""
    _used.add(path)
    return path


def used_files() -> frozenset[Path]:
    """The files that this process has noted, `cached` ones included."""
    return frozenset(_used)


def cached(name: str, key: object, make: Callable[[Path], None]) -> Path:
    """The file made from a key; made once, under a lock, written aside and renamed.

    Args:
        name: the file's name, with its ending, for people who look into the directory.
        key: a JSON document of everything that the content depends on.
        make: writes the content to the path that it is given.
    """
    digest = digest_of(key).removeprefix("sha256:")[:16]
    path = use(cache_root() / digest / name)
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{name}.lock")):
        if not path.exists():
            aside = path.with_name(f".{os.getpid()}.{name}")
            try:
                make(aside)
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)
    return path


def code_digest(*files: str) -> str:
    """A digest of what Python files do: comments, layout and docstrings do not count.

    Args:
        files: paths of Python sources; their order counts.

    Raises:
        SyntaxError: a file is no Python.
    """
    return digest_of(
        [ast.dump(_WithoutDocstrings().visit(ast.parse(Path(file).read_bytes()))) for file in files]
    )


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Drops a statement that is nothing but a string."""
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node
