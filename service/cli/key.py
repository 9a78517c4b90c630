"""``tauten key``: who may call the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.table import Table

from service.cli.output import AsJson, err, out, print_json
from service.cli.serve import DatabaseUrl, DataDir
from service.settings import Settings
from storage import Database, KeyRing, Scope

app = typer.Typer(help="API keys, which a service that others can reach needs.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[Scope, typer.Option(help="What it may do; each includes those before.")] = Scope.WRITE,
    max_queued: Annotated[int | None, typer.Option(help="Jobs that may wait at once.", min=1)] = None,
    max_running: Annotated[int | None, typer.Option(help="Jobs that may run at once.", min=1)] = None,
    data: DataDir = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Makes a key and prints it; it cannot be shown again.

    Example: [bold]export TAUTEN_API_KEY=$(tauten key create laptop --scope write)[/]
    """
    with _keys(data, database) as keys:
        key, text = keys.create(name, scope, max_queued=max_queued, max_running=max_running)
    if as_json:
        print_json({**key.to_dict(), "key": text})
    else:
        err.print(f"key {key.id} of {name} may {scope}; keep it, it is not shown again", markup=False)
        out.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command("list")
def list_all(data: DataDir = None, database: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Lists keys, without their secrets."""
    with _keys(data, database) as keys:
        found = [key.to_dict() for key in keys.all()]
    if as_json:
        print_json({"items": found, "next_cursor": None})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("key", "name", "scope", "queued", "running", "created", "revoked"):
        table.add_column(column)
    for key in found:
        quotas = (str(key[name] or "any") for name in ("max_queued", "max_running"))
        table.add_row(
            key["id"],
            key["name"].replace("[", "\\["),
            key["scope"],
            *quotas,
            key["created_at"][:19],
            (key["revoked_at"] or "")[:19],
        )
    out.print(table)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id of the key; see: tauten key list.")],
    data: DataDir = None,
    database: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Makes a key, and every browser that signed in with it, invalid from now on."""
    with _keys(data, database) as keys:
        revoked = keys.revoke(key)
    if as_json:
        print_json(revoked.to_dict())
    else:
        err.print(f"key {revoked.id} of {revoked.name} is revoked", markup=False)


@contextmanager
def _keys(data: DataDir, database: DatabaseUrl) -> Iterator[KeyRing]:
    settings = Settings.load(data_dir=data, database_url=database)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    connection = Database(settings.database_url)
    try:
        connection.upgrade()
        yield KeyRing(connection)
    finally:
        connection.close()
