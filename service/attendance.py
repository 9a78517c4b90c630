"""A worker's place in the list of workers, renewed in a thread while it works."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import structlog

from spaces import StorageError
from storage import Database, WorkerList
from storage.workers import BEAT_S

_log = structlog.get_logger()


class Attendance:
    """Lists a worker inside its ``with`` block; no job depends on it, so a database that fails is waited for.

    Args:
        database: where the list is.
        worker: id of the worker.
        offers: targets whose jobs it takes.
    """

    def __init__(self, database: Database, worker: str, offers: Sequence[str] = ()) -> None:
        self._list, self._worker, self._offers = WorkerList(database), worker, tuple(offers)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        with suppress(StorageError):  # it will be seen to be silent instead
            self._list.leave(self._worker)

    def _run(self) -> None:
        is_listed = False
        while True:
            try:
                if is_listed:
                    self._list.beat(self._worker)
                else:
                    self._list.enter(self._worker, socket.gethostname(), self._offers)
                    is_listed = True
            except StorageError as error:
                _log.warning("cannot tell that this worker lives", reason=str(error))
            if self._ending.wait(BEAT_S):
                return
