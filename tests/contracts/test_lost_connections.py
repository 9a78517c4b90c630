import psycopg
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
    with pytest.raises(StorageError, match=r"cannot serve: connection refused$"):
        Store(shared_database).inventory("digits-cnn")


@pytest.fixture
def postgres(postgres_url):
    database = Database(postgres_url)
    yield database
    database.close()


@pytest.mark.postgres
def test_a_connection_that_a_restarted_server_closed_is_replaced(postgres_url, postgres):
    with postgres.reading() as session:
        backend = session.scalar(text("SELECT pg_backend_pid()"))
    with psycopg.connect(postgres_url) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", [backend])
    with postgres.reading() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != backend


@pytest.mark.postgres
def test_a_transaction_that_a_frozen_worker_left_open_is_ended(postgres):
    with postgres.reading() as session:
        assert session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "30s"
