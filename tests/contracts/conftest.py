from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import delete

from storage import Claim, Database, Store, WorkerLock
from storage.tables import Table
from tests.contracts.databases import KINDS, empty_database
from tests.contracts.samples import SPEC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session", params=KINDS)
def shared_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with empty_database(request, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture(scope="session")
def shared_database(shared_url: str) -> Iterator[Database]:
    """One database of each kind for all tests: most of a test's time would go into compiling statements again."""
    database = Database(shared_url)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def store(shared_database: Database) -> Iterator[Store]:
    """The store, empty."""
    yield Store(shared_database)
    with shared_database.writing() as session:
        for table in reversed(Table.metadata.sorted_tables):
            session.execute(delete(table))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[WorkerLock]:
    with WorkerLock(tmp_path) as worker:
        yield worker


@pytest.fixture
def colleague(tmp_path: Path) -> Iterator[WorkerLock]:
    """Another worker of the same machine."""
    with WorkerLock(tmp_path) as worker:
        yield worker


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[WorkerLock]:
    """A worker of another machine, which sees no locks of this one."""
    with WorkerLock(tmp_path, host="elsewhere") as worker:
        yield worker


@pytest.fixture
def claim(store: Store, worker: WorkerLock) -> Claim:
    """The worker's hold on the only job."""
    store.submit(SPEC)
    claim = store.claim(worker)
    assert claim is not None
    return claim


class Process:
    """A worker in a process of its own; see `tests.contracts.process`."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.contracts.process", *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait_until_ready(self) -> None:
        assert self._process.stdout.readline() == "ready\n"

    def go(self) -> None:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


@pytest.fixture
def processes() -> Iterator[Callable[..., Process]]:
    """Starts processes, and ends them after the test."""
    with ExitStack() as started:
        yield lambda *arguments: started.enter_context(closing(Process(*map(str, arguments))))


@pytest.fixture
def process(processes: Callable[..., Process], shared_url: str, tmp_path: Path) -> Callable[[str], Process]:
    """Starts a process on the shared database by its mode."""
    return lambda mode: processes(shared_url, tmp_path, mode)
