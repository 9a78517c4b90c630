"""What a recipe's free fields may hold: plain JSON, and digests that name nothing but bytes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from spaces import InvalidRecipe, escape, shown

if TYPE_CHECKING:
    from spaces import Reader

DIGEST_PATTERN: Final = "^sha256:[0-9a-f]{64}$"
_DIGEST: Final = re.compile(DIGEST_PATTERN.removesuffix("$") + r"\Z")


def read_digest(read: Reader, key: str) -> str:
    """A digest, ``sha256:`` and 64 hexadecimal digits: it may become a file's name, so it is nothing else.

    Raises:
        InvalidRecipe: the field is missing or has another form.
    """
    value = read.text(key)
    if not _DIGEST.match(value):
        raise InvalidRecipe.at(read.at(key), f"must be sha256: and 64 digits 0-9a-f, not {shown(value)}")
    return value


def read_plain(value: Any, pointer: str) -> Any:
    """A value that JSON has a form for: text, finite number, boolean, null, list, or object with text keys.

    Raises:
        InvalidRecipe: something else stands there, as a date or NaN, which YAML has.
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRecipe.at(pointer, f"must be a finite number, not {shown(value)}")
        return value
    if isinstance(value, list):
        return [read_plain(item, f"{pointer}/{index}") for index, item in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InvalidRecipe.at(pointer, f"has the key {shown(key)}, which is not text")
        return {key: read_plain(item, f"{pointer}/{escape(key)}") for key, item in value.items()}
    raise InvalidRecipe.at(pointer, f"must be plain JSON, not {shown(value)}")


def read_string(value: Any, pointer: str) -> str:
    """A text; a number is refused, since YAML reads an unquoted 2.10 as 2.1.

    Raises:
        InvalidRecipe: it is no text.
    """
    if not isinstance(value, str):
        raise InvalidRecipe.at(pointer, f"must be text, in quotes, not {shown(value)}")
    return value
