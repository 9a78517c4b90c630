"""Which rounds of a latency measurement were quiet: nobody else slowed the machine down meanwhile.

Even CPU time grows while a neighbour uses the other half of a shared core: on an AMD EPYC guest the fp32
baseline slows down 1.4 times and an int8 candidate 1.7 times, so a true 3.7x shows as 3.0x. A round is quiet
if its baseline is as fast as in quiet; a measurement that saw too few of them says that it was contended. By
the wall, threads must not have waited for a core either: the kernel counts that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

QUIET: Final = 1.1
"""A round is quiet if its baseline takes at most this much of the quiet baseline's time."""

WAITED: Final = 0.02
"""And, by the wall, if its threads waited for a core for at most this share of it."""

_TASKS: Final = Path("/proc/self/task")


@dataclass(frozen=True, slots=True)
class Round:
    """One timed call of each artifact.

    Attributes:
        times: CPU and wall nanoseconds by name.
        waited: time that this process's threads were ready and had no core, as a share of the round.
    """

    times: Mapping[str, tuple[int, int]]
    waited: float


def quiet_rounds(rounds: Sequence[Round], baseline: str, quiet_ms: float | None, clock: str) -> list[int]:
    """The quiet rounds, by position.

    Args:
        rounds: at least one.
        baseline: whose times are looked at.
        quiet_ms: its time in quiet; ``None`` takes the fastest tenth of the rounds.
        clock: ``cpu`` or ``wall``.
    """
    column = 0 if clock == "cpu" else 1
    times = np.array([turn.times[baseline][column] for turn in rounds], dtype=np.float64)
    level = np.quantile(times, 0.1) if quiet_ms is None else quiet_ms * 1e6
    is_quiet = times <= QUIET * level
    if clock == "wall":
        is_quiet &= np.array([turn.waited for turn in rounds]) <= WAITED
    quiet: list[int] = np.flatnonzero(is_quiet).tolist()
    return quiet


def waited_ns() -> int:
    """Nanoseconds that the threads of this process were ready to run and had no core, so far.

    From ``schedstat``, second field (Linux, Documentation/scheduler/sched-stats); 0 on systems that do not
    tell, where only the baseline's speed says what is quiet.
    """
    total = 0
    for task in _TASKS.glob("*/schedstat"):
        try:
            total += int(task.read_text().split()[1])
        except (OSError, IndexError):  # the thread ended meanwhile
            continue
    return total
