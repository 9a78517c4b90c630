"""Idempotency keys whose requests this process is answering; the database answers for those before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.refusals import InFlight


class KeysInFlight:
    """The keys, by owner; threads share it."""

    def __init__(self) -> None:
        self._held: set[tuple[str | None, str]] = set()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, owner: str | None, key: str | None) -> Iterator[None]:
        """While the block runs, another request of the owner with the same key is refused.

        Args:
            owner: who asks.
            key: of the request; with ``None`` nothing is held.

        Raises:
            InFlight: the key is held.
        """
        if key is None:
            yield
            return
        with self._lock:
            if (owner, key) in self._held:
                raise InFlight(key)
            self._held.add((owner, key))
        try:
            yield
        finally:
            with self._lock:
                self._held.discard((owner, key))
