import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from spaces import StorageError
from storage import Database, Store
from storage import database as database_module


def test_a_transaction_begins_again_while_the_database_does_not_answer(shared_database, store, monkeypatch):
    connect, failures = shared_database._engine.connect, iter(range(2))

    def refuse():
        if next(failures, None) is not None:
            raise OperationalError("connect", None, OSError("connection refused"))
        return connect()

    monkeypatch.setattr(shared_database._engine, "connect", refuse)
    assert store.inventory("digits-cnn") is None
    assert next(failures, None) is None


def test_a_database_that_never_answers_is_given_up(shared_database, monkeypatch):
    def refuse():
        raise OperationalError("connect", None, OSError("connection refused\nand a hint"))

    monkeypatch.setattr(shared_database._engine, "connect", refuse)
    monkeypatch.setattr(database_module, "PATIENCE_S", 0)
    with pytest.raises(StorageError, match="cannot serve: connection refused$"):
        Store(shared_database).inventory("digits-cnn")


@pytest.mark.postgres
def test_connections_that_a_restarted_server_closed_are_replaced(postgres_url):
    database = Database(postgres_url)
    try:
        with database.reading() as session:
            session.execute(text("SELECT 1"))
        with Database(postgres_url)._engine.connect() as other:
            mine = "pid <> pg_backend_pid() AND application_name = '' AND state = 'idle' AND datname = 'postgres'"
            other.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}"))
        with database.reading() as session:
            assert session.scalar(text("SELECT 1")) == 1
    finally:
        database.close()


@pytest.mark.postgres
def test_a_transaction_that_a_frozen_worker_left_open_is_ended(postgres_url):
    database = Database(postgres_url)
    with database.reading() as session:
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "30s"
    database.close()
