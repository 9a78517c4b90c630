"""Finds workloads: registered by entry point or in ``tauten.toml``, or by file on the command line alone."""

from __future__ import annotations

import importlib
import tomllib
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from evaluators.workloads.modules import module_of_file
from evaluators.workloads.naming import DESCRIPTION, FILE, NAME, is_file_reference
from spaces import Conflict, InvalidValue, TautenError, UnknownName, WorkloadError

if TYPE_CHECKING:
    from compression import Workload

GROUP: Final = "tauten.workloads"
SETTINGS: Final = "tauten.toml"
DESCRIBED: Final = {
    "torch": ("evaluators.workloads.torch_description", "TorchWorkload"),
    "hf": ("evaluators.workloads.hf_description", "load_hf"),
}
"""Who reads the descriptions of each kind; loaded when one is asked for."""

_METHODS: Final = ("model", "example_inputs", "batches", "loss", "metric")


@dataclass(frozen=True, slots=True)
class WorkloadInfo:
    """A registered workload, known by name only.

    Attributes:
        name: to be used in a job.
        source: the factory's address: ``module:attribute``, ``path.py:attribute``, ``torch:FILE.yaml`` or
            ``hf:FILE.yaml``.
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


def load_workload(name: str, *, allow_files: bool = False) -> Workload:
    """Makes a workload.

    Args:
        name: registered, or an address of a file, see `is_file_reference`.
        allow_files: the second is allowed; it may run the file.

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
    try:
        workload = _make(source)
    except TautenError as error:
        raise WorkloadError(f"workload {name!r} cannot be loaded: {error}") from error
    except Exception as error:  # the user's code may raise anything
        raise WorkloadError(f"workload {name!r} cannot be loaded: {type(error).__name__}: {error}") from error
    return _checked(name, workload)


def _make(source: str) -> Any:
    """What the factory of an address returns; raises what its code does."""
    description = DESCRIPTION.fullmatch(source)
    if description is not None:
        module_name, class_name = DESCRIBED[description["kind"]]
        return getattr(importlib.import_module(module_name), class_name)(Path(description["path"]))
    address, _, attribute = source.rpartition(":")
    is_file = address.endswith(".py")
    module = module_of_file(Path(address)) if is_file else importlib.import_module(address)
    return getattr(module, attribute)()


def _checked(name: str, workload: Any) -> Workload:
    lacking = [method for method in _METHODS if not callable(getattr(workload, method, None))]
    lacking += [field for field in ("name", "task") if not isinstance(getattr(workload, field, None), str)]
    if lacking:
        raise WorkloadError(f"workload {name!r}: {type(workload).__name__} lacks {', '.join(lacking)}")
    if not NAME.fullmatch(workload.name):
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
            f"/workloads/{wrong[0]}",
            f"{path}: must be 'module:factory', 'path.py:factory', 'torch:FILE.yaml' or 'hf:FILE.yaml'",
        )
    return [(name, _anchored(source, directory)) for name, source in table.items()]


def _anchored(source: str, directory: Path) -> str:
    if (match := FILE.fullmatch(source)) is not None:
        return f"{(directory / match['path']).resolve()}:{match['factory']}"
    if (match := DESCRIPTION.fullmatch(source)) is not None:
        return f"{match['kind']}:{(directory / match['path']).resolve()}"
    return source
