"""Files that a person wrote, in JSON or YAML: whatever is wrong with one is said in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recipes import load_yaml
from spaces import InvalidSpec, InvalidValue


def read_text(path: Path, error: type[InvalidValue] = InvalidSpec) -> str:
    """A text file in UTF-8.

    Args:
        path: of the file.
        error: the class to raise.

    Raises:
        InvalidValue: of that class; the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as cause:
        raise error.at("", f"{path} cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise error.at("", f"{path} cannot be read: it is not text in UTF-8") from cause


def read_document(path: Path) -> Any:
    """A JSON or YAML file.

    Raises:
        InvalidSpec: it cannot be read.
    """
    return parse_document(read_text(path), str(path))


def parse_document(text: str, source: str) -> Any:
    """A document from its text.

    Args:
        text: JSON or YAML.
        source: where it comes from, for the message.

    Raises:
        InvalidSpec: it is neither.
    """
    try:
        return json.loads(text)  # first, since 1e-5 is a number in JSON and a string in YAML 1.1
    except RecursionError as error:
        raise InvalidSpec.at("", f"{source} is nested too deeply") from error
    except ValueError:
        pass
    try:
        return load_yaml(text)
    except InvalidValue as error:
        raise InvalidSpec.at("", f"{source}, which is not JSON, {error}") from error
