"""Running the application with uvicorn: streams are told to end before the server waits for them."""

from __future__ import annotations

import socket
from types import FrameType

import uvicorn

from service.app import create_app
from service.settings import Settings
from spaces import Conflict

GRACE_S = 10
KEEP_ALIVE_S = 75
"""Longer than clients keep an idle connection, else one asks in the moment in which the server closes it."""


class Server(uvicorn.Server):
    """A server whose event streams end when it is asked to stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Marks the application as stopping, then stops as uvicorn does."""
        self.config.app.state.stopping.is_set = True  # type: ignore[union-attr]
        super().handle_exit(sig, frame)


def make_server(settings: Settings) -> Server:
    """A server that is ready to `run`.

    Raises:
        Conflict: the port is taken.
        StorageError: the database cannot be reached, or brought to this version's schema.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise Conflict(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; use --port"
            ) from error
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = create_app(settings)
    app.state.context.database.upgrade()  # here, since uvicorn makes a stack trace of what fails in its start
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        timeout_graceful_shutdown=GRACE_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    return Server(config)
