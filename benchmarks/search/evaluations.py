"""Real evaluations, kept: methods and seeds share what they ask for, and a run that was ended goes on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Values = tuple[float, ...]


class Evaluations:
    """A table in a file of lines, one evaluation each; several processes may add to it.

    Args:
        path: the file; made with the first evaluation.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._table = path, dict[str, Values]()
        self._read = 0

    def __len__(self) -> int:
        return len(self._table)

    def get(self, key: str, make: Callable[[], Values]) -> Values:
        """The values of a key, made and written where they are missing."""
        if key not in self._table:
            self._catch_up()
        if key not in self._table:
            self._table[key] = make()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as lines:  # a line is written at once, so that lines never mix
                lines.write(json.dumps([key, self._table[key]]) + "\n")
        return self._table[key]

    def _catch_up(self) -> None:
        """What was added since the last reading; a line that is not whole is left for later."""
        if not self._path.exists():
            return
        with self._path.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                key, values = json.loads(line)
                self._table[key] = tuple(values)
