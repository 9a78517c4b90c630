"""Finds targets: the shipped files, those of a configured directory, and on the command line any file."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from evaluators.targets.target import Target
from spaces import Fault, InvalidTarget, UnknownName

SHIPPED: Final = Path(__file__).parent
ENDINGS: Final = (".yaml", ".yml")

# PyYAML 6.0 lets through what its constructors raise: "!!bool maybe" a KeyError, "2020-13-45" a ValueError.
_EXPONENT: Final = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
_NOT_A_VALUE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError)


def list_targets(directory: Path | None = None) -> dict[str, Target]:
    """Targets by name: the shipped ones, then a directory's.

    Args:
        directory: whose ``*.yaml`` files are targets, or ``None``.

    Raises:
        InvalidTarget: a file is wrong, the directory is missing, or a name is there twice.
    """
    found: dict[str, Target] = {}
    files: dict[str, Path] = {}
    if directory is not None and not directory.is_dir():
        raise InvalidTarget.at(
            "", f"the directory of targets {directory} does not exist; make it, or unset it"
        )
    for folder in (SHIPPED, directory):
        paths = [] if folder is None else sorted(p for p in folder.iterdir() if p.suffix in ENDINGS)
        for path in paths:
            target = _read_shipped(path) if folder is SHIPPED else read_target(path)
            if target.name in found:
                detail = (
                    f"{target.name!r} is the name of {files[target.name]} too; choose another (in {path})"
                )
                raise InvalidTarget.at("/name", detail)
            found[target.name], files[target.name] = target, path
    return found


def find_target(name: str, directory: Path | None = None, *, allow_files: bool = False) -> Target:
    """The target of a name.

    Args:
        name: registered, or the path of a YAML file.
        directory: of targets besides the shipped ones.
        allow_files: the name may be a path; never for a request that came by HTTP.

    Raises:
        UnknownName: with the names that exist.
        InvalidTarget: a file is wrong.
    """
    if allow_files and is_target_file(name):
        return read_target(Path(name))
    targets = list_targets(directory)
    if name not in targets:
        raise UnknownName("target", name, tuple(targets))
    return targets[name]


@cache
def _read_shipped(path: Path) -> Target:
    """A shipped file does not change while a process lives, and reading all of them takes 40 ms."""
    return read_target(path)


def is_target_file(name: str) -> bool:
    """The name is the path of a target's file."""
    return Path(name).suffix in ENDINGS


def read_target(path: Path) -> Target:
    """Reads a target's YAML file.

    Raises:
        InvalidTarget: the message names the file, and each wrong field by JSON pointer.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidTarget.at("", f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidTarget.at("", f"{path} cannot be read: it is not text in UTF-8") from error
    try:
        return Target.from_dict(parse_yaml(text))
    except (yaml.YAMLError, *_NOT_A_VALUE) as error:
        said = " ".join(str(error).split())
        raise InvalidTarget.at("", f"{path} is not YAML: {said}") from error
    except InvalidTarget as error:
        faults = [Fault(fault.pointer, fault.detail) for fault in error.faults]
        last = faults.pop()
        raise InvalidTarget([*faults, Fault(last.pointer, f"{last.detail} (in {path})")]) from None


def parse_yaml(text: str) -> Any:
    """A YAML document of plain data, whose numbers are JSON's: ``1.5e11`` is one, as in YAML 1.2."""
    return yaml.load(text, _Loader)  # noqa: S506  # a SafeLoader


class _Loader(yaml.SafeLoader):
    """PyYAML follows YAML 1.1, where a number with an exponent needs a point and a sign."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own form
        **yaml.SafeLoader.yaml_implicit_resolvers,
        **{
            first: [
                ("tag:yaml.org,2002:float", _EXPONENT),
                *yaml.SafeLoader.yaml_implicit_resolvers.get(first, []),
            ]
            for first in "-+0123456789."
        },
    }
