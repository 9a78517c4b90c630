"""Empty databases of each kind that the product runs on."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]

_NUMBERS = itertools.count()


@contextmanager
def empty_database(request: pytest.FixtureRequest, directory: Path) -> Iterator[str]:
    """The URL of an empty database of the kind that a fixture is parametrised with; dropped afterwards.

    On PostgreSQL it is a schema: a database of its own takes ten times as long to create.
    """
    if request.param == "sqlite":
        yield f"sqlite:///{directory}/tauten.db"
        return
    server_url = request.getfixturevalue("postgres_url")
    name = f"test_{next(_NUMBERS)}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            yield f"{server_url}&options=-csearch_path%3D{name}"
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE")
