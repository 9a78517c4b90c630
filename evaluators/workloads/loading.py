"""Finds workloads: registered by entry point or in ``tauten.toml``, or by file on the command line alone."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spaces import Conflict, InvalidValue, UnknownName, WorkloadError

if TYPE_CHECKING:
    from compression import Workload

GROUP: Final = "tauten.workloads"
SETTINGS: Final = "tauten.toml"
_FILE: Final = re.compile(r"(?P<path>.+\.py):(?P<factory>[A-Za-z_]\w*)")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_METHODS: Final = ("model", "example_inputs", "batches", "loss", "metric")


@dataclass(frozen=True, slots=True)
class WorkloadInfo:
    """A registered workload, known by name only.

    Attributes:
        name: to be used in a job.
        source: the factory's address: ``module:attribute`` or ``path.py:attribute``.
    """

    name: str
    source: str


def list_workloads(directory: Path | None = None) -> dict[str, WorkloadInfo]:
    """The registered workloads by name; loads none of them.

    Args:
        directory: where ``tauten.toml`` may lie with a table ``[workloads]``; default the current one.

    Raises:
        InvalidValue: the file is not as it must be.
        Conflict: a name is registered twice.
    """
    found: dict[str, WorkloadInfo] = {}
    entries = [(entry.name, entry.value) for entry in entry_points(group=GROUP)]
    for name, source in [*entries, *_configured(directory or Path.cwd())]:
        if name in found and found[name].source != source:
            raise Conflict(f"workload {name!r} is registered twice: {found[name].source} and {source}")
        found[name] = WorkloadInfo(name, source)
    return dict(sorted(found.items()))


def is_file_reference(name: str) -> bool:
    """The name is a ``path/to/file.py:factory``, which runs code: never accept it from a request."""
    return _FILE.fullmatch(name) is not None


def load_workload(name: str, *, allow_files: bool = False) -> Workload:
    """Makes a workload.

    Args:
        name: registered, or ``path/to/file.py:factory``.
        allow_files: the second form is allowed; it runs the file.

    Raises:
        UnknownName: no such workload is registered.
        WorkloadError: its code raises, or what the factory returns is no workload.
    """
    if allow_files and is_file_reference(name):
        source = name
    else:
        known = list_workloads()
        if name not in known:
            raise UnknownName("workload", name, tuple(known))
        source = known[name].source
    address, _, attribute = source.rpartition(":")
    try:
        module = (
            _module_of_file(Path(address)) if address.endswith(".py") else importlib.import_module(address)
        )
        factory = getattr(module, attribute)
        workload = factory()
    except Exception as error:  # the user's code may raise anything
        raise WorkloadError(f"workload {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    return _checked(name, workload)


def _module_of_file(path: Path) -> Any:
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


def _checked(name: str, workload: Any) -> Workload:
    lacking = [method for method in _METHODS if not callable(getattr(workload, method, None))]
    lacking += [field for field in ("name", "task") if not isinstance(getattr(workload, field, None), str)]
    if lacking:
        raise WorkloadError(f"workload {name!r}: {type(workload).__name__} lacks {', '.join(lacking)}")
    if not _NAME.fullmatch(workload.name):
        raise WorkloadError(
            f"workload {name!r}: its name {workload.name!r} must be of letters, digits, '.', '_', '-'"
        )
    return workload  # type: ignore[no-any-return]


def _configured(directory: Path) -> list[tuple[str, str]]:
    path = directory / SETTINGS
    if not path.is_file():
        return []
    try:
        table = tomllib.loads(path.read_text()).get("workloads", {})
    except tomllib.TOMLDecodeError as error:
        raise InvalidValue.at("", f"{path}: {error}") from error
    wrong = [name for name, source in table.items() if not isinstance(source, str) or ":" not in source]
    if wrong:
        raise InvalidValue.at(
            f"/workloads/{wrong[0]}", f"{path}: must be 'module:factory' or 'path.py:factory'"
        )
    return [(name, _anchored(source, directory)) for name, source in table.items()]


def _anchored(source: str, directory: Path) -> str:
    match = _FILE.fullmatch(source)
    return source if match is None else f"{(directory / match['path']).resolve()}:{match['factory']}"
