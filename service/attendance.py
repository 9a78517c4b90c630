"""A worker's place in the list of workers, renewed in a thread while it works."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from service.recurring import Recurring
from spaces import StorageError
from storage import Database, WorkerList
from storage.workers import BEAT_S


class Attendance:
    """Lists a worker inside its ``with`` block; no job depends on it, so a database that fails is waited for.

    Args:
        database: where the list is.
        worker: id of the worker.
        offers: targets whose jobs it takes.
    """

    def __init__(self, database: Database, worker: str, offers: Sequence[str] = ()) -> None:
        self._list, self._worker, self._offers = WorkerList(database), worker, tuple(offers)
        self._is_listed = False
        self._beats = Recurring(self._beat, BEAT_S, "cannot tell that this worker lives", at_once=True)

    def __enter__(self) -> Self:
        self._beats.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._beats.__exit__()
        with suppress(StorageError):  # it will be seen to be silent instead
            self._list.leave(self._worker)

    def _beat(self) -> None:
        if self._is_listed:
            self._list.beat(self._worker)
        else:
            self._list.enter(self._worker, socket.gethostname(), self._offers)
            self._is_listed = True
