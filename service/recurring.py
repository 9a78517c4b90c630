"""Work that is done again and again in a thread, for as long as a ``with`` block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Self

import structlog

from spaces import StorageError

_log = structlog.get_logger()


class Recurring:
    """Calls something now and then; a database that fails is waited for.

    Args:
        work: what is called; other errors than `StorageError` end the thread.
        period_s: seconds from the end of one call to the next.
        failing: what is logged when the database fails.
        at_once: the first call comes at the start, else after the first period.
    """

    def __init__(
        self, work: Callable[[], object], period_s: float, failing: str, *, at_once: bool = False
    ) -> None:
        self._work, self._period_s, self._failing, self._at_once = work, period_s, failing, at_once
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        if not self._at_once:
            self._ending.wait(self._period_s)
        while not self._ending.is_set():
            try:
                self._work()
            except StorageError as error:
                _log.warning(self._failing, reason=str(error))
            self._ending.wait(self._period_s)
