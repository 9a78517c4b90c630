from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from spaces import StorageError
from storage import Database, Store
from storage.tables import Table
from tests.contracts.samples import SPEC


@pytest.fixture
def database(database_url):
    """A database without a schema."""
    database = Database(database_url)
    yield database
    database.close()


def test_a_database_fails_its_check_until_it_is_upgraded(database):
    with pytest.raises(StorageError, match="tauten db upgrade") as caught:
        database.check()
    assert "\n" not in str(caught.value)
    database.upgrade()
    database.check()


def test_an_upgrade_is_repeated_without_harm(database):
    database.upgrade()
    job, _ = Store(database).submit(SPEC)
    database.upgrade()
    assert Store(database).job(job.id) == job


def test_the_migrations_make_the_tables_that_the_code_has(database):
    database.upgrade()
    with database._engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_many_threads_upgrade_at_once(database):
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(database.upgrade) for _ in range(4)]:
            done.result()
    database.check()


def test_two_processes_upgrade_at_once(database_url, tmp_path, processes):
    both = [processes(database_url, tmp_path, "upgrade") for _ in range(2)]
    for each in both:
        each.wait_until_ready()
    for each in both:
        each.go()
    assert [each.answer() for each in both] == ["upgraded", "upgraded"]


def test_a_database_of_a_newer_version_is_left_alone(database):
    database.upgrade()
    with database._engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match=r"has schema 9999.*newer tauten"):
        database.check()
    with pytest.raises(StorageError, match="newer tauten"):
        database.upgrade()


def test_a_database_without_its_schema_serves_nothing(database_url, database):
    if database_url.startswith("sqlite"):
        database.upgrade()
        with database._engine.begin() as connection:
            connection.execute(text("DROP TABLE inventories"))
    with pytest.raises(StorageError, match="cannot serve") as caught:
        Store(database).inventory("digits-cnn")
    assert "\n" not in str(caught.value)
