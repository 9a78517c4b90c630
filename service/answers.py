"""Answers that cost much to make, kept as bytes until room is needed: a front of hundreds takes 0.1 s."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

MOST_BYTES: Final = 16 << 20


class Answers:
    """Remembers the answers that were asked for last.

    Args:
        most_bytes: of all answers together; one that is larger alone is made each time.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._size = most_bytes, 0
        self._lock = threading.Lock()
        self._known: OrderedDict[Hashable, bytes] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The answer of a key, made where it is not known.

        Args:
            key: all that the answer depends on, a job's revision among it.
            make: called without any lock; two who ask at once may both make it.
        """
        with self._lock:
            answer = self._known.get(key)
            if answer is not None:
                self._known.move_to_end(key)
                return answer
        answer = make()
        with self._lock:
            if key not in self._known and len(answer) <= self._most_bytes:
                self._known[key] = answer
                self._size += len(answer)
            while self._size > self._most_bytes:
                self._size -= len(self._known.popitem(last=False)[1])
        return answer
