import subprocess
import sys
import threading

import pytest
from sqlalchemy import text

from spaces import InvalidValue, StorageError
from storage import Database, Store
from tests.contracts.samples import SPEC


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/deep/er/tauten.db")
    database.upgrade()
    yield database
    database.close()


def test_importing_storage_loads_no_training_library():
    code = "import sys, storage; sys.exit(bool({'torch', 'onnxruntime', 'optuna', 'ray'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "url",
    ["", "tauten.db", "mysql://host/tauten", "sqlite://", "sqlite:///:memory:", "sqlite:///", "nothing://"],
)
def test_another_kind_of_database_is_refused(url):
    with pytest.raises(InvalidValue) as caught:
        Database(url)
    assert caught.value.faults[0].pointer == "/database"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_postgresql_is_reached_through_psycopg(scheme):
    database = Database(f"{scheme}://user:secret@host/name")
    assert str(database) == "postgresql+psycopg://user:***@host/name"


def test_a_server_that_does_not_answer_is_named_without_its_password(tmp_path):
    database = Database(f"postgresql://user:secret@/name?host={tmp_path}")
    with pytest.raises(StorageError, match="name") as caught:
        database.check()
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_check_creates_no_file(tmp_path):
    with pytest.raises(StorageError, match="does not exist"):
        Database(f"sqlite:///{tmp_path}/tauten.db").check()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "tauten.db"
    path.write_bytes(b"something else entirely" * 100)
    database = Database(f"sqlite:///{path}")
    for call in (database.check, database.upgrade):
        with pytest.raises(StorageError, match="not a database"):
            call()
    database.close()


def test_a_directory_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot create the database file"):
        Database(f"sqlite:///{tmp_path}/file/tauten.db").upgrade()


def test_sqlite_logs_ahead_and_keeps_foreign_keys(database):
    with database.reading() as session:
        pragmas = {name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys")}
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
    with pytest.raises(StorageError, match="FOREIGN KEY"), database.writing() as session:
        session.execute(text("INSERT INTO events VALUES ('nothing', 1, 'x', '2026-01-01 00:00:00', '{}')"))


def test_an_exception_rolls_a_transaction_back(database):
    def interrupted():
        with database.writing() as session:
            session.execute(text("INSERT INTO inventories VALUES ('key', '{}', '2026-01-01 00:00:00')"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert Store(database).inventory("key") is None


def test_a_writer_waits_for_another_and_readers_do_not_wait(database):
    store = Store(database)
    with database.writing() as session:
        session.execute(text("INSERT INTO inventories VALUES ('key', '{}', '2026-01-01 00:00:00')"))
        assert store.inventory("key") is None
        submitted = []
        writer = threading.Thread(target=lambda: submitted.append(store.submit(SPEC)))
        writer.start()
        assert store.jobs().items == ()
    writer.join()
    assert [job for job, _ in submitted] == list(store.jobs().items)


def test_a_document_that_json_has_no_form_for_is_refused(database):
    for document in ({"a": float("inf")}, {"a": object()}):
        with pytest.raises(StorageError, match="JSON"):
            Store(database).put_inventory("key", document)
    assert Store(database).inventory("key") is None
