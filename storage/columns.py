"""Column types and the clock that both databases share. Knows no table and opens no connection.

Leases are compared in the *database's* clock: workers whose clocks differ agree on when one has run out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, DateTime, Dialect, String, Text, TypeDecorator, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

Document = JSON(none_as_null=True)
"""A JSON document. Not PostgreSQL's ``jsonb``, which reorders keys: a space's layer rules hold in order."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, aware and in UTC on both sides; SQLite's own type forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Line(TypeDecorator[str]):
    """Text from anywhere, such as a library's error message; what a database refuses is replaced.

    PostgreSQL knows no NUL and UTF-8 no lone surrogate. Neither keeps a result from being stored, and an id
    with one is unknown like any other.
    """

    impl: TypeEngine[str] | type[TypeEngine[str]] = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """To the database."""
        return None if value is None else value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


class Name(Line):
    """Ids, names, states and digests."""

    impl = String(255)
    cache_ok = True


class UtcNow(FunctionElement[datetime]):
    """The database's clock, now rather than at the start of the transaction, plus some seconds."""

    type = UtcDateTime()
    inherit_cache = True
    name = "utc_now"

    def __init__(self, plus_s: float = 0.0) -> None:
        super().__init__(literal(float(plus_s)))


@compiles(UtcNow, "sqlite")
def _sqlite_now(element: UtcNow, compiler: SQLCompiler, **options: Any) -> str:
    # Six digits, as SQLAlchemy writes moments on SQLite, where they are compared as text.
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


@compiles(UtcNow, "postgresql")
def _postgresql_now(element: UtcNow, compiler: SQLCompiler, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(clock_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"
