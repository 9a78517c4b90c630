"""What a claim is, and the setting in which it is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.table import Row


@dataclass(frozen=True, slots=True)
class Setting:
    """How a claim is tried.

    Attributes:
        quick: fewer seeds and epochs, the same bars.
        seed: of everything random; further seeds count up from it.
        directory: for artifacts; thrown away afterwards.
        say: told what is being done, for a person who waits.
    """

    quick: bool
    seed: int
    directory: Path
    say: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Claim:
    """A published claim.

    Attributes:
        name: for ``--only``.
        text: what was claimed.
        source: by whom.
        run: tries it and yields rows; what it cannot measure it raises.
    """

    name: str
    text: str
    source: str
    run: Callable[[Setting], Iterator[Row]]
