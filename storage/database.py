"""The database as a whole: its address, its transactions, its schema. Knows no table's meaning.

SQLite and PostgreSQL behave alike through it: a writing transaction on SQLite takes the write lock when it
begins (``BEGIN IMMEDIATE``), because one that reads first and then writes fails under concurrency, whatever
the timeout.
"""

from __future__ import annotations

import json
import random
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from spaces import InvalidValue, StorageError
from storage import backup, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.pool import ConnectionPoolEntry

    from storage.tables import Table

PATIENCE_S: Final = 5.0
"""How long a transaction waits to begin while the server restarts or the pool is empty."""

BUSY_S: Final = 15
"""How long SQLite waits for another writer; well below a lease."""

CONNECT_S: Final = 10
"""How long PostgreSQL may take to answer a new connection."""

IDLE_S: Final = 30
"""PostgreSQL ends a transaction that a frozen process left open, which would block who takes its job over."""

_WRITING: Final = "tauten_writing"


class Database:
    """A database by its URL; connects when first used.

    Args:
        url: ``sqlite:////absolute/path.db`` or ``postgresql://user@host/name``.

    Raises:
        InvalidValue: the URL names another kind of database, or SQLite without a file.
    """

    def __init__(self, url: str) -> None:
        self._url = _normalised(url)
        self._is_sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = create_engine(
            self._url,
            pool_pre_ping=not self._is_sqlite,
            connect_args={} if self._is_sqlite else {"connect_timeout": CONNECT_S},
            json_serializer=_json,
        )
        event.listen(self._engine, "connect", _prepare_sqlite if self._is_sqlite else _prepare_postgresql)
        if self._is_sqlite:
            event.listen(self._engine, "begin", _begin_sqlite)

    def __str__(self) -> str:
        """The URL without its password."""
        return self._url.render_as_string(hide_password=True)

    def upgrade(self) -> None:
        """Creates the schema or brings it to this version; several processes may do so at once.

        Raises:
            StorageError: the database cannot be reached, or was made by a newer version.
        """
        if self._is_sqlite:
            schema.create_file(Path(self._url.database or ""), timeout_s=BUSY_S)
        with _translated(self), self._transaction(writing=True) as connection:
            schema.upgrade(connection)

    def check(self) -> None:
        """Passes when the database can be reached and has this version's schema.

        Raises:
            StorageError: it cannot, or has not; the message is one line and names the remedy.
        """
        if self._is_sqlite and not Path(self._url.database or "").is_file():
            raise StorageError(f"database {self} does not exist; create it with 'tauten db upgrade'")
        with _translated(self), self._engine.connect() as connection:
            found = schema.revision(connection)
        if found != schema.head():
            has = "has no schema" if found is None else f"has schema {found}"
            remedy = "run 'tauten db upgrade'" if schema.is_known(found) else "install a newer tauten"
            raise StorageError(f"database {self} {has}, this version needs {schema.head()}; {remedy}")

    def backup(self, to: Path) -> None:
        """Writes a copy of the database, as of one moment, while others go on using it.

        Args:
            to: an SQLite file, or for PostgreSQL an archive that ``pg_restore`` reads; must not exist.

        Raises:
            StorageError: it exists, cannot be written, or ``pg_dump`` is missing or fails.
        """
        if to.exists():
            raise StorageError(f"{to} exists; name another file for the backup")
        aside = to.with_name(f".{to.name}.part")
        aside.unlink(missing_ok=True)
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            if self._is_sqlite:
                backup.copy_file(Path(self._url.database or ""), aside)
            else:
                backup.dump(self._url, aside)
            aside.replace(to)
        except OSError as error:
            raise StorageError(f"cannot write {to}: {error}") from error
        finally:
            aside.unlink(missing_ok=True)

    def check_integrity(self) -> None:
        """Passes when an SQLite file is whole; a server looks after its own files.

        Raises:
            StorageError: it is damaged; the message has what was found first.
        """
        if not self._is_sqlite:
            return
        with _translated(self), self._engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if found != "ok" or broken is not None:
            detail = found if found != "ok" else f"a row of {broken[0] if broken else ''} refers to nothing"
            raise StorageError(f"database {self} is damaged: {detail}; restore a backup")

    def headroom_bytes(self) -> int | None:
        """How much more an SQLite file may hold; ``None`` where that is not known, as with a server.

        Raises:
            StorageError: the database cannot serve.
        """
        if not self._is_sqlite:
            return None
        names = ("page_size", "page_count", "max_page_count", "freelist_count")
        with _translated(self), self._engine.connect() as connection:
            size, used, most, free = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in names
            )
        on_disk = shutil.disk_usage(Path(self._url.database or "").parent).free
        return min((most - used + free) * size, on_disk)

    def close(self) -> None:
        """Closes every connection; the next use opens new ones."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only reads.

        Raises:
            StorageError: the database cannot serve.
        """
        with self._session(writing=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is committed at the end of the block, and rolled back by any exception.

        Raises:
            StorageError: the database cannot serve; nothing is stored, unless it was lost in the commit.
        """
        with self._session(writing=True) as session:
            yield session

    @contextmanager
    def _session(self, *, writing: bool) -> Iterator[Session]:
        with (
            _translated(self),
            self._transaction(writing=writing) as connection,
            Session(connection, expire_on_commit=False) as session,
        ):
            yield session
            session.flush()

    @contextmanager
    def _transaction(self, *, writing: bool) -> Iterator[Connection]:
        connection = self._begin(writing=writing)
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    def _begin(self, *, writing: bool) -> Connection:
        """Begins a transaction; trying again is safe because nothing has been done in it yet."""
        delay, deadline = 0.05, time.monotonic() + PATIENCE_S
        while True:
            try:
                connection = self._engine.connect().execution_options(**{_WRITING: writing})
                try:
                    connection.begin()
                except BaseException:
                    connection.close()
                    raise
            except OperationalError:
                if time.monotonic() + delay > deadline:
                    raise
                time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - spreads retries, guards nothing
                delay = min(2 * delay, 1.0)
            else:
                return connection


def insert_into(session: Session, table: type[Table]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, which SQLAlchemy has in the dialects only."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    return postgresql.insert(table) if is_postgresql else sqlite.insert(table)


def _json(document: Any) -> str:
    try:
        return json.dumps(document, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StorageError(f"a document cannot be stored as JSON: {error}") from error


def _normalised(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError as error:
        raise InvalidValue.at(
            "/database", f"{url!r} is not a URL such as sqlite:////path/tauten.db"
        ) from error
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise InvalidValue.at("/database", f"{backend!r} is not one of: sqlite, postgresql")
    if parsed.database in {None, "", ":memory:"}:
        raise InvalidValue.at("/database", "SQLite needs a file here, such as sqlite:////path/tauten.db")
    return parsed


@contextmanager
def _translated(database: Database) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        line = next(iter(str(cause).strip().splitlines()), type(cause).__name__)
        raise StorageError(f"database {database} cannot serve: {line}") from error


def _prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # sqlite3 begins no transaction of its own; _begin_sqlite does
    for pragma in (f"busy_timeout = {BUSY_S * 1000}", "foreign_keys = ON", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _prepare_postgresql(connection: Any, _entry: ConnectionPoolEntry) -> None:
    connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_S}s'")
    connection.commit()
