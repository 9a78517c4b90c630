"""``tauten db``: the database's schema."""

from __future__ import annotations

import typer

from service.cli.output import AsJson, err, print_json
from service.cli.serve import DatabaseUrl, DataDir
from service.settings import Settings
from storage import Database

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
    """Says whether the database is reachable and at the newest schema; exits with 1 if not."""
    settings = Settings.load(data_dir=data, database_url=database)
    connection = Database(settings.database_url)
    connection.check()
    connection.close()
    _say(settings, "is reachable and at the newest schema", as_json)


def _say(settings: Settings, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"status": "ok"})
    else:
        err.print(f"the database of {settings.data_dir} {what}")
