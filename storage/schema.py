"""The schema's versions: which one a database has, and how it gets the newest of ``migrations/``."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, func, select

from spaces import StorageError

MIGRATIONS: Final = Path(__file__).with_name("migrations")

_ADVISORY_LOCK: Final = 0x74617574_656E  # any number that no other application on the server uses
_ALEMBIC: Final = threading.Lock()  # alembic.op and alembic.context are globals of the process


def config() -> Config:
    """Alembic's configuration, which needs no file."""
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


@cache
def head() -> str:
    """The revision that this version of the code needs."""
    revision = ScriptDirectory.from_config(config()).get_current_head()
    if revision is None:
        raise StorageError(f"no migrations in {MIGRATIONS}; reinstall tauten")
    return revision


@cache
def is_known(revision: str | None) -> bool:
    """The schema is one that `upgrade` can start from; a newer version's is not."""
    if revision is None:
        return True
    known = ScriptDirectory.from_config(config()).walk_revisions()
    return any(script.revision == revision for script in known)


def revision(connection: Connection) -> str | None:
    """The revision that a database has, or ``None`` where it has no schema."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(connection: Connection) -> None:
    """Runs what is missing, in the connection's transaction.

    Args:
        connection: in a writing transaction, which the caller commits.

    Raises:
        StorageError: the database was made by a newer version.
    """
    if connection.dialect.name == "postgresql":  # on SQLite, the transaction itself holds the write lock
        connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    settings = config()
    settings.attributes["connection"] = connection
    try:
        with _ALEMBIC:
            command.upgrade(settings, "head")
    except CommandError as error:
        message = (
            f"the schema {revision(connection)} is unknown to this version ({head()}); install a newer tauten"
        )
        raise StorageError(message) from error


def create_file(path: Path, *, timeout_s: float) -> None:
    """Creates an SQLite file with its directory and turns write-ahead logging on, which the file remembers.

    Raises:
        StorageError: the directory or file cannot be made, or is no SQLite database.
    """
    deadline = time.monotonic() + timeout_s
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=timeout_s)) as connection:
            while True:
                try:
                    connection.execute("PRAGMA journal_mode = WAL").fetchone()
                except (
                    sqlite3.OperationalError
                ):  # this pragma does not wait for whoever else is creating the file
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)
                else:
                    return
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"cannot create the database file {path}: {error}") from error
