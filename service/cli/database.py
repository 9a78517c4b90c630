"""``tauten db``: the database's schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.cli.output import AsJson, err, print_json
from service.cli.serve import DatabaseUrl, DataDir
from service.janitor import collect as collect_files
from service.settings import Settings
from service.wording import size
from storage import Database, Store

app = typer.Typer(help="The database: its schema and health.", no_args_is_help=True)


@app.command()
def upgrade(data: DataDir = None, database: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Brings the schema to the newest version.

    Example: [bold]tauten db upgrade --database postgresql://tauten@db/tauten[/]
    """
    settings = Settings.load(data_dir=data, database_url=database)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    connection = Database(settings.database_url)
    connection.upgrade()
    connection.close()
    _say(settings, "is at the newest schema", as_json)


@app.command()
def check(data: DataDir = None, database: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Says whether the database is reachable, whole and at the newest schema; exits with 1 if not."""
    settings = Settings.load(data_dir=data, database_url=database)
    connection = Database(settings.database_url)
    connection.check()
    connection.check_integrity()
    connection.close()
    _say(settings, "is reachable, whole and at the newest schema", as_json)


@app.command()
def backup(
    to: Annotated[Path, typer.Option("--out", help="File to write; it must not exist.")],
    data: DataDir = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Copies the database to a file while the service goes on; artifacts are files and are copied as such.

    An SQLite copy takes the place of the database file; a PostgreSQL archive is read by pg_restore.

    Example: [bold]tauten db backup --out tauten-backup.db[/]
    """
    settings = Settings.load(data_dir=data, database_url=database)
    connection = Database(settings.database_url)
    connection.check()
    connection.backup(to)
    connection.close()
    if as_json:
        print_json({"path": str(to), "size_bytes": to.stat().st_size})
    else:
        err.print(f"the database of {settings.data_dir} is copied to {to}", markup=False)


@app.command()
def collect(data: DataDir = None, database: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Removes artifacts that no trial has any more, as the service does every ten minutes."""
    settings = Settings.load(data_dir=data, database_url=database)
    connection = Database(settings.database_url)
    connection.check()
    freed = collect_files(settings, Store(connection))
    connection.close()
    if as_json:
        print_json({"freed_bytes": freed})
    else:
        err.print(f"{size(freed)} freed in {settings.artifacts_url or settings.artifacts_dir}", markup=False)


def _say(settings: Settings, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"status": "ok"})
    else:
        err.print(f"the database of {settings.data_dir} {what}")
