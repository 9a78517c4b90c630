"""Keyset pages: a cursor names the last item seen, so that rows inserted meanwhile shift nothing."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from spaces import InvalidValue, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
S = TypeVar("S")

MAX_LIMIT: Final = 1000

_CURSOR: Final = re.compile(r"([a-z]+):(0|[1-9][0-9]{0,17})")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list.

    Attributes:
        items: in the list's order.
        next_cursor: asks for what follows, or ``None`` at the end.
    """

    items: tuple[T, ...]
    next_cursor: str | None = None

    @classmethod
    def cut(
        cls, rows: Sequence[S], limit: int, kind: str, key: Callable[[S], int], value: Callable[[S], T]
    ) -> Page[T]:
        """The page of up to ``limit + 1`` rows: the one too many only says that there is more.

        Args:
            rows: in the list's order.
            limit: most items.
            kind: of list; a cursor of another kind is refused.
            key: the number that a row is ordered by.
            value: a row as an item.
        """
        kept = rows[:limit]
        more = encode(kind, key(kept[-1])) if len(rows) > limit else None
        return cls(tuple(value(row) for row in kept), more)


def encode(kind: str, number: int) -> str:
    """The opaque cursor behind an item."""
    return base64.urlsafe_b64encode(f"{kind}:{number}".encode()).decode().rstrip("=")


def decode(kind: str, cursor: str | None) -> int | None:
    """The number that a cursor stands for, or ``None`` for the start.

    Raises:
        InvalidValue: at ``/cursor``: not a cursor that this list gave out.
    """
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
    except (binascii.Error, ValueError):
        text = ""
    match = _CURSOR.fullmatch(text)
    if match is None or match[1] != kind:
        raise InvalidValue.at("/cursor", f"{shown(cursor)} is not a cursor of this list; start without one")
    return int(match[2])


def check_limit(limit: int) -> int:
    """The limit, when it can be served.

    Raises:
        InvalidValue: at ``/limit``.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidValue.at("/limit", f"must be from 1 to {MAX_LIMIT}, not {shown(limit)}")
    return limit
