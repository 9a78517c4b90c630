"""What frozen values check themselves with; every fault names its field by JSON pointer."""

from __future__ import annotations

from typing import Any, get_args

from spaces.errors import InvalidPolicy
from spaces.reading import shown


def check(condition: bool, pointer: str, detail: str) -> None:
    """Raises `InvalidPolicy` at a field unless the condition holds."""
    if not condition:
        raise InvalidPolicy.at(pointer, detail)


def check_among(value: str, choices: Any, pointer: str) -> None:
    """Refuses a string that is not one of a ``Literal``'s."""
    names = get_args(choices)
    check(value in names, pointer, f"{shown(value)} is not one of: {', '.join(names)}")


def real(value: float) -> float:
    """The one form of a number: no integer, no negative zero, which are equal but have other digests."""
    return float(value) + 0.0


def assign(instance: object, **values: Any) -> None:
    """Sets fields of a frozen value while it is built."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)
