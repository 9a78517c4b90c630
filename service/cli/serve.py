"""``tauten serve`` and ``tauten worker``."""

from __future__ import annotations

import gc
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from service.cli.output import err
from service.log import configure_log
from service.settings import RUNNERS, InvalidSettings, Settings
from spaces import Fault
from storage import Database, KeyRing

DataDir = Annotated[
    Path | None, typer.Option("--data", help="Directory of database, artifacts and scratch files.")
]
DatabaseUrl = Annotated[str | None, typer.Option("--database", help="sqlite:////path or postgresql://…")]
Offers = Annotated[
    list[str] | None, typer.Option("--offers", help="A target whose jobs to take; all where none is named.")
]


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 if left out.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 8321 if left out.", min=1, max=65535)
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Worker processes, 1 if left out; 0 serves the API only.", min=0, max=64),
    ] = None,
    data: DataDir = None,
    database: DatabaseUrl = None,
) -> None:
    """Serves the API and the dashboard, and runs workers.

    What is left out comes from TAUTEN_… variables, then from the table [service] of tauten.toml.

    Example: [bold]tauten serve --port 8321 --workers 1[/]
    """
    from service.server import make_server

    settings = Settings.load(data_dir=data, database_url=database, host=host, port=port, workers=workers)
    configure_log(log_format=settings.log_format)
    if settings.needs_key:
        _require_key(settings)
    server = make_server(settings)
    err.print(
        f"dashboard and API at [bold]http://{settings.host}:{settings.port}[/]  "
        f"(data in {settings.data_dir}; Ctrl-C ends)"
    )
    gc.freeze()  # what was imported stays: without it, each full collection stops all answers for 0.1 s
    server.run()


def worker(
    data: DataDir = None,
    database: DatabaseUrl = None,
    offers: Offers = None,
    runner: Annotated[
        str | None, typer.Option(help=f"Whose jobs to take: {' or '.join(RUNNERS)}; local if left out.")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Head of the Ray cluster, host:port; one is started here if left out."),
    ] = None,
) -> None:
    """Runs jobs from the queue of a database, without an API.

    Examples:
    [bold]tauten worker --database postgresql://tauten@db/tauten[/]

    [bold]tauten worker --runner ray --address head:6379[/]
    """
    from service.worker import run_worker

    given = tuple(offers) if offers else None
    if runner is not None and runner not in RUNNERS:
        raise InvalidSettings(Fault("--runner", f"must be one of: {', '.join(RUNNERS)}; not {runner!r}"))
    settings = Settings.load(
        data_dir=data, database_url=database, offers=given, runner=runner, ray_address=address
    )
    configure_log(log_format=settings.log_format)
    connection = Database(settings.database_url)
    connection.check()
    connection.close()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    run_worker(settings, stop)


def _require_key(settings: Settings) -> None:
    """Refuses to serve others before anybody has a key: they could not call, or worse, everyone could.

    Raises:
        InvalidSettings: there is no key.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        database.upgrade()
        if KeyRing(database).is_empty():
            where = "--host" if not settings.is_loopback else "require_key"
            what = f"{settings.host} can be reached by others" if not settings.is_loopback else "is set"
            raise InvalidSettings(
                Fault(where, f"{what} and there is no API key; make one with 'tauten key create NAME'")
            )
    finally:
        database.close()
