"""``tauten serve`` and ``tauten worker``."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from service.cli.output import err
from service.settings import DEFAULT_PORT, Settings
from service.worker import configure_log, run_worker
from storage import Database

DataDir = Annotated[
    Path | None, typer.Option("--data", help="Directory of database, artifacts and scratch files.")
]
DatabaseUrl = Annotated[str | None, typer.Option("--database", help="sqlite:////path or postgresql://…")]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = DEFAULT_PORT,
    workers: Annotated[int, typer.Option(help="Worker processes; 0 serves the API only.", min=0, max=64)] = 1,
    data: DataDir = None,
    database: DatabaseUrl = None,
) -> None:
    """Serves the API and the dashboard, and runs workers.

    Example: [bold]tauten serve --port 8321 --workers 1[/]
    """
    from service.server import make_server

    if host not in {"127.0.0.1", "localhost", "::1"}:
        raise typer.BadParameter(
            f"{host!r}: this version has no keys, so it listens on loopback only; put a proxy before it",
            param_hint="--host",
        )
    configure_log()
    settings = Settings.load(data_dir=data, database_url=database, host=host, port=port, workers=workers)
    server = make_server(settings)
    err.print(
        f"dashboard and API at [bold]http://{host}:{port}[/]  (data in {settings.data_dir}; Ctrl-C ends)"
    )
    server.run()


def worker(data: DataDir = None, database: DatabaseUrl = None) -> None:
    """Runs jobs from the queue of a database, without an API.

    Example: [bold]tauten worker --database postgresql://tauten@db/tauten[/]
    """
    configure_log()
    settings = Settings.load(data_dir=data, database_url=database)
    connection = Database(settings.database_url)
    connection.check()
    connection.close()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_worker(settings, stop)
