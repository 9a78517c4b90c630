"""Reading JSON-like documents strictly: wrong types, unknown keys and bounds are named by JSON pointer.

Types are checked here; what a value must fulfil, its class checks when it is built (`Reader.build`).
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, ParamSpec, TypeVar

from spaces.errors import Fault, InvalidValue

T = TypeVar("T")
P = ParamSpec("P")

# Python's strings, and JSON's escapes, hold what neither UTF-8 nor a database's text column can.
_NOT_TEXT: Final = re.compile(r"[\x00\ud800-\udfff]")
_LARGEST: Final = sys.float_info.max
_LARGEST_WHOLE: Final = 2**63 - 1
_SHOWN: Final = 60


def escape(key: str) -> str:
    """A key as a JSON pointer's token (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def shown(value: Any) -> str:
    """A value as an error message has it: short, however long or deep it is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else value[: _SHOWN - 1] + "…")
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, Sequence):
        return "a list"
    if isinstance(value, int) and value.bit_length() > _SHOWN:
        return f"a number of {value.bit_length()} bits"
    return repr(value) if isinstance(value, int | float) else f"a {type(value).__name__}"


class Reader:
    """A JSON object that is read field by field; what nobody asked for is an error at the end.

    A field that is null and a field that is missing are the same.

    Args:
        document: the object as parsed; anything but a mapping with string keys is refused.
        pointer: where the object stands in the whole document.
        error: the class of `InvalidValue` to raise.
    """

    def __init__(self, document: Any, pointer: str = "", error: type[InvalidValue] = InvalidValue) -> None:
        self.pointer, self.error = pointer, error
        self._left = self._entries(document, pointer)
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
        """A string that UTF-8 can hold, of the choices where there are any."""
        value = self._text(self._value(key, default), self.at(key))
        allowed = tuple(choices)
        if allowed and value not in allowed:
            raise self.fail(key, f"{shown(value)} is not one of: {', '.join(allowed)}")
        return value

    def text_or_none(self, key: str) -> str | None:
        """A string that may be missing or null."""
        return None if self._is_missing(key) else self.text(key)

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
        value = self._number(self._value(key, default), self.at(key))
        if not low <= value <= high or not value < below:
            upper = f" and below {below:g}" if below < math.inf else f" and at most {high:g}"
            bounds = f"at least {low:g}" + (upper if min(high, below) < math.inf else "")
            raise self.fail(key, f"must be {bounds}, not {value!r}")
        return value

    def number_or_none(self, key: str, *, low: float = -math.inf) -> float | None:
        """A number that may be missing or null."""
        return None if self._is_missing(key) else self.number(key, low=low)

    def whole(self, key: str, default: int | None = None, *, low: int = 0, high: int | None = None) -> int:
        """A whole number with ``low <= value <= high``; JSON does not tell 8 from 8.0, nor does this."""
        value = self._whole(self._value(key, default), self.at(key))
        if value < low or (high is not None and value > high):
            upper = "" if high is None else f" and at most {high}"
            raise self.fail(key, f"must be at least {low}{upper}, not {shown(value)}")
        return value

    def whole_or_none(self, key: str, *, low: int = 0) -> int | None:
        """A whole number that may be missing or null."""
        return None if self._is_missing(key) else self.whole(key, low=low)

    def flag(self, key: str, default: bool) -> bool:
        """A boolean."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise self.fail(key, f"must be true or false, not {shown(value)}")
        return value

    def flag_or_none(self, key: str) -> bool | None:
        """A boolean that may be missing or null."""
        return None if self._is_missing(key) else self.flag(key, False)

    def items(
        self, key: str, read: Callable[[Any, str], T], default: Sequence[T] | None = None
    ) -> tuple[T, ...]:
        """A list, each item read by ``read(item, pointer)``."""
        value = self.required(key) if default is None else self.raw(key)
        if value is None:
            return tuple(default or ())
        if isinstance(value, str | bytes) or not isinstance(value, Sequence):
            raise self.fail(key, f"must be a list, not {shown(value)}")
        return tuple(read(item, f"{self.at(key)}/{index}") for index, item in enumerate(value))

    def items_or_none(self, key: str, read: Callable[[Any, str], T]) -> tuple[T, ...] | None:
        """A list that may be missing or null."""
        return None if self._is_missing(key) else self.items(key, read)

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """A list of strings."""
        return self.items(key, self._text, default)

    def numbers(self, key: str, default: Sequence[float] | None = None) -> tuple[float, ...]:
        """A list of finite numbers."""
        return self.items(key, self._number, default)

    def wholes(self, key: str, default: Sequence[int] | None = None) -> tuple[int, ...]:
        """A list of whole numbers."""
        return self.items(key, self._whole, default)

    def mapping(self, key: str, read: Callable[[Any, str], T]) -> dict[str, T]:
        """An object with free keys, each value read by ``read(value, pointer)``; missing is empty."""
        entries = self._entries(self.raw(key, {}), self.at(key))
        return {name: read(item, f"{self.at(key)}/{escape(name)}") for name, item in entries.items()}

    def optional(self, key: str, read: Callable[[Any, str], T]) -> T | None:
        """A field that may be missing or null, else read by ``read(value, pointer)``."""
        value = self.raw(key)
        return None if value is None else read(value, self.at(key))

    def rest(self, read: Callable[[Any, str], T]) -> dict[str, T]:
        """Whatever was not read by name: an object with free keys."""
        left, self._left = self._left, {}
        return {name: read(item, self.at(name)) for name, item in left.items()}

    def done(self) -> None:
        """Refuses what is left: an unknown key is an error, not a comment."""
        if self._left:
            known = f"is not a known field; known are: {', '.join(self._known)}"
            raise self.error(Fault(self.at(key), known) for key in self._left)

    def build(self, make: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a class makes of the fields, when all of them were read.

        The class checks itself and knows only its own fields: its faults come out with pointers into the
        whole document, as this reader's class of error.
        """
        self.done()
        try:
            return make(*args, **kwargs)
        except InvalidValue as error:
            raise self.error(error.below(self.pointer)) from None

    def _value(self, key: str, default: Any) -> Any:
        return self.required(key) if default is None else self.raw(key, default)

    def _is_missing(self, key: str) -> bool:
        return self._left.get(key) is None and self.raw(key) is None

    def _entries(self, document: Any, pointer: str) -> dict[str, Any]:
        if not isinstance(document, Mapping):
            raise self.error.at(pointer, f"must be an object, not {shown(document)}")
        for key in document:
            if not isinstance(key, str) or _NOT_TEXT.search(key):
                raise self.error.at(pointer, f"has the key {shown(key)}, which is not valid text")
        return dict(document)

    def _text(self, value: Any, pointer: str) -> str:
        if not isinstance(value, str):
            raise self.error.at(pointer, f"must be a string, not {shown(value)}")
        if _NOT_TEXT.search(value):
            raise self.error.at(pointer, f"must be valid text, not {shown(value)}")
        return value

    def _number(self, value: Any, pointer: str) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not abs(value) <= _LARGEST:
            raise self.error.at(pointer, f"must be a finite number, not {shown(value)}")
        return float(value)

    def _whole(self, value: Any, pointer: str) -> int:
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if not is_whole or isinstance(value, bool):
            raise self.error.at(pointer, f"must be a whole number, not {shown(value)}")
        if abs(value) > _LARGEST_WHOLE:
            raise self.error.at(pointer, f"must fit into 64 bits, not {shown(value)}")
        return int(value)
