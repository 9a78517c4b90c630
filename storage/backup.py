"""Copies of a database as of one moment: a file by SQLite's own backup, a server's by ``pg_dump``."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

from spaces import StorageError

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import URL


def copy_file(source: Path, to: Path) -> None:
    """Copies an SQLite file while it is in use.

    Raises:
        StorageError: it cannot be read, or the copy not written.
    """
    try:
        with closing(sqlite3.connect(source)) as database, closing(sqlite3.connect(to)) as copy:
            database.backup(copy)
    except sqlite3.Error as error:
        raise StorageError(f"cannot copy {source} to {to}: {error}") from error


def dump(url: URL, to: Path) -> None:
    """Writes a PostgreSQL database in the archive format that ``pg_restore`` reads.

    Raises:
        StorageError: ``pg_dump`` is missing or fails.
    """
    program = shutil.which("pg_dump")
    if program is None:
        raise StorageError("'pg_dump' is not on the PATH; install PostgreSQL's client programs")
    address = url.set(drivername="postgresql")._replace(password=None).render_as_string(hide_password=False)
    environment = dict(os.environ)
    if url.password is not None:
        environment["PGPASSWORD"] = str(url.password)  # not an argument: everybody sees those
    command = [program, "--format=custom", "--no-owner", f"--file={to}", f"--dbname={address}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise StorageError(f"pg_dump failed: {lines[-1] if lines else done.returncode}")
