"""Reading JSON-like documents strictly: wrong types, unknown keys and bounds are named by JSON pointer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from spaces.errors import InvalidValue

T = TypeVar("T")


def escape(key: str) -> str:
    """A key as a JSON pointer's token (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


class Reader:
    """A JSON object that is read field by field; what nobody asked for is an error at the end.

    Args:
        document: the object as parsed; anything but a mapping with string keys is refused.
        pointer: where the object stands in the whole document.
        error: the class of `InvalidValue` to raise.
    """

    def __init__(self, document: Any, pointer: str = "", error: type[InvalidValue] = InvalidValue) -> None:
        self.pointer, self.error = pointer, error
        if not isinstance(document, Mapping) or not all(isinstance(key, str) for key in document):
            raise error.at(pointer, f"must be an object, not {_kind(document)}")
        self._left: dict[str, Any] = dict(document)
        self._known: list[str] = []

    def at(self, key: str) -> str:
        """The JSON pointer of a field."""
        return f"{self.pointer}/{escape(key)}"

    def fail(self, key: str, detail: str) -> InvalidValue:
        """The error for a field, to be raised by the caller."""
        return self.error.at(self.at(key), detail)

    def raw(self, key: str, default: Any = None) -> Any:
        """The value of a field as it is; ``None`` and a missing field are the same."""
        self._known.append(key)
        value = self._left.pop(key, None)
        return default if value is None else value

    def required(self, key: str) -> Any:
        """The value of a field that must be there."""
        value = self.raw(key)
        if value is None:
            raise self.fail(key, "is required")
        return value

    def text(self, key: str, default: str | None = None, choices: Iterable[str] = ()) -> str:
        """A string, of the choices where there are any."""
        value = self.required(key) if default is None else self.raw(key, default)
        if not isinstance(value, str):
            raise self.fail(key, f"must be a string, not {_kind(value)}")
        allowed = tuple(choices)
        if allowed and value not in allowed:
            raise self.fail(key, f"{value!r} is not one of: {', '.join(allowed)}")
        return value

    def number(
        self,
        key: str,
        default: float | None = None,
        *,
        low: float = -math.inf,
        high: float = math.inf,
        below: float = math.inf,
    ) -> float:
        """A finite number with ``low <= value <= high`` and ``value < below``."""
        value = self.required(key) if default is None else self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.fail(key, f"must be a finite number, not {value!r}")
        if not low <= value <= high or not value < below:
            upper = f" and below {below:g}" if below < math.inf else f" and at most {high:g}"
            bounds = f"at least {low:g}" + (upper if min(high, below) < math.inf else "")
            raise self.fail(key, f"must be {bounds}, not {value!r}")
        return float(value)

    def number_or_none(self, key: str, *, low: float = -math.inf) -> float | None:
        """A number that may be missing or null."""
        value = self.raw(key)
        return None if value is None else Reader({key: value}, self.pointer, self.error).number(key, low=low)

    def whole(self, key: str, default: int | None = None, *, low: int = 0, high: int | None = None) -> int:
        """A whole number with ``low <= value <= high``."""
        value = self.required(key) if default is None else self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.fail(key, f"must be a whole number, not {value!r}")
        if value < low or (high is not None and value > high):
            upper = "" if high is None else f" and at most {high}"
            raise self.fail(key, f"must be at least {low}{upper}, not {value}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """A boolean."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, f"must be true or false, not {value!r}")
        return value

    def items(self, key: str, read: Callable[[Any, str], T], default: Sequence[T] | None = None) -> tuple[T, ...]:
        """A list, each item read by ``read(item, pointer)``."""
        value = self.required(key) if default is None else self.raw(key)
        if value is None:
            return tuple(default or ())
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise self.fail(key, f"must be a list, not {_kind(value)}")
        return tuple(read(item, f"{self.at(key)}/{index}") for index, item in enumerate(value))

    def mapping(self, key: str, read: Callable[[Any, str], T]) -> dict[str, T]:
        """An object with free keys, each value read by ``read(value, pointer)``; missing is empty."""
        value = self.raw(key, {})
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise self.fail(key, f"must be an object, not {_kind(value)}")
        return {name: read(item, f"{self.at(key)}/{escape(name)}") for name, item in value.items()}

    def optional(self, key: str, read: Callable[[Any, str], T]) -> T | None:
        """A field that may be missing or null, else read by ``read(value, pointer)``."""
        value = self.raw(key)
        return None if value is None else read(value, self.at(key))

    def done(self) -> None:
        """Refuses what is left: an unknown key is an error, not a comment."""
        if self._left:
            key = next(iter(self._left))
            raise self.fail(key, f"is not a known field; known are: {', '.join(self._known)}")


def _kind(value: Any) -> str:
    names = {type(None): "null", bool: "a boolean", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), f"{type(value).__name__} {value!r}")
