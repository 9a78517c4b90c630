"""One look at the database for all open streams: they wait here until their job has moved on."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from spaces import StorageError, UnknownName
from storage import Standpoint

POLL_S: Final = 0.4


class Hub:
    """Watches jobs while anybody asks; without watchers it does nothing.

    Args:
        look: where some jobs stand, by id; those that are gone are left out.
        is_stopping: the server is shutting down; everybody is woken.
    """

    def __init__(
        self,
        look: Callable[[Sequence[str]], dict[str, Standpoint]],
        is_stopping: Callable[[], bool],
    ) -> None:
        self._look, self._is_stopping = look, is_stopping
        self._begin(None)

    def _begin(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Starts anew in an event loop: a server has one, and callers without a server one a request."""
        self._loop = loop
        self._watchers: Counter[str] = Counter()
        self._stands: dict[str, Standpoint] = {}
        self._failure: StorageError | None = None
        self._changed: asyncio.Future[None] | None = None if loop is None else loop.create_future()
        self._task: asyncio.Task[None] | None = None

    @property
    def streams(self) -> int:
        """How many are open."""
        return self._watchers.total()

    @asynccontextmanager
    async def watching(self, job_id: str) -> AsyncIterator[None]:
        """While the block runs, the job is looked at."""
        if self._loop is not asyncio.get_running_loop():
            self._begin(asyncio.get_running_loop())
        self._watchers[job_id] += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._watchers[job_id] -= 1
            if not self._watchers[job_id]:
                del self._watchers[job_id]
                self._stands.pop(job_id, None)

    async def moved(self, job_id: str, seen: int, timeout_s: float) -> Standpoint | None:
        """Waits until a job has moved beyond a revision or has ended.

        Returns:
            Where it stands, or ``None`` where nothing happened in time, or the server stops.

        Raises:
            UnknownName: the job is gone.
            StorageError: the database cannot serve.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + timeout_s
        while not self._is_stopping():
            if self._failure is not None:
                raise StorageError(str(self._failure)) from self._failure
            stand = self._stands.get(job_id)
            if stand is not None and stand.is_gone:
                raise UnknownName("job", job_id)
            if stand is not None and (stand.revision > seen or stand.is_final):
                return stand
            if self._changed is None or now() >= deadline:
                return None
            # not a Condition: who is cancelled twice while it waits leaves its lock locked, for every stream
            await asyncio.wait([self._changed], timeout=deadline - now())
        return None

    async def _watch(self) -> None:
        while self._watchers and not self._is_stopping():
            wanted = list(self._watchers)
            try:
                self._note(wanted, await asyncio.to_thread(self._look, wanted), None)
            except StorageError as error:
                self._note(wanted, {}, error)
            await asyncio.sleep(POLL_S)
        self._wake()

    def _note(
        self, wanted: Sequence[str], found: dict[str, Standpoint], failure: StorageError | None
    ) -> None:
        """Remembers what a look has found, and wakes everybody if that is anything new."""
        is_new = failure is not self._failure
        self._failure = failure
        for job_id in wanted:
            if job_id in self._watchers and failure is None:
                stand = found.get(job_id, Standpoint(0, is_final=True, is_gone=True))
                is_new = is_new or self._stands.get(job_id) != stand
                self._stands[job_id] = stand
        if is_new:
            self._wake()

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.get_running_loop().create_future()
        if woken is not None:
            woken.set_result(None)
