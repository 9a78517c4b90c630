"""Where the service keeps its things and where it listens; read from the environment once, at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_PORT: Final = 8321


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the API process and of workers.

    Attributes:
        data_dir: database (SQLite), artifacts, locks and scratch files.
        database_url: ``sqlite:////…`` or ``postgresql://…``.
        host: address to listen on; loopback by default.
        port: to listen on.
        workers: worker processes that the API process starts and watches; 0 starts none.
    """

    data_dir: Path
    database_url: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    workers: int = 1

    @property
    def artifacts_dir(self) -> Path:
        """Finished files, by content."""
        return self.data_dir / "artifacts"

    @property
    def scratch_dir(self) -> Path:
        """Files of running jobs."""
        return self.data_dir / "scratch"

    @classmethod
    def load(
        cls,
        *,
        data_dir: Path | None = None,
        database_url: str | None = None,
        environ: Mapping[str, str] = os.environ,
        **others: str | int,
    ) -> Settings:
        """Arguments first, then ``TAUTEN_DATA`` and ``TAUTEN_DATABASE``, then defaults.

        The default directory is ``tauten`` in the user's data directory; the database is SQLite in it.
        """
        configured = environ.get("TAUTEN_DATA")
        home = Path(environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "tauten"
        directory = (data_dir or (Path(configured) if configured else home)).absolute()
        url = database_url or environ.get("TAUTEN_DATABASE") or f"sqlite:///{directory / 'tauten.db'}"
        return cls(directory, url, **others)  # type: ignore[arg-type]
