"""What is promised of each workload, and the search that has to reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

LOST: Final = 0.01
"""A point of accuracy may be lost; candidates are chosen on validation, and judged on test."""

MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise.

    Attributes:
        workload: its name.
        speedup: at least so many times as fast as the runtime's fp32 file.
        ratio: at least so many times as small as it.
        trials: of the search.
        wall_s: the search's budget of time.
        space: of the job.
        within_s: the promised wall time on two cores, or ``None``.
    """

    workload: str
    speedup: float
    ratio: float
    trials: int
    wall_s: float
    space: dict[str, Any]
    within_s: float | None = None

    def closeness(self, speedup: float, ratio: float) -> float:
        """1 or more where both parts of the bar are reached; the lesser share of them else."""
        return min(speedup / self.speedup, ratio / self.ratio)

    @property
    def words(self) -> str:
        """As the table has it."""
        return f">= {self.speedup:g}x faster and >= {self.ratio:g}x smaller, <= 1 point lost"


def _convolutions(*recovery: dict[str, Any], students: list[Any]) -> dict[str, Any]:
    return {
        "students": students,
        "prune": {"ratios": [0.0, 0.25, 0.5, 0.625, 0.75], "granularity": ["channel"]},
        "bits": [
            {"weight": 8, "activation": 8, "mode": "static"},
            {"weight": 32, "activation": 32, "mode": "none"},
        ],
        "recovery": list(recovery),
    }


ON_LABELS: Final[dict[str, float | None]] = {"epochs": 4.0, "distill": None}
"""The teacher would cost more than the pruned network itself, and gains little here."""

QUICK: Final = {"epochs": 1.0, "distill": None}

BARS: Final = (
    Bar(
        "fashion-resnet",
        10,
        20,
        trials=40,
        wall_s=45 * MINUTE_S,
        space=_convolutions(ON_LABELS, students=[None, {"depth": 0.5}]),
        within_s=45 * MINUTE_S,
    ),
    Bar(
        "minilm-sentiment",
        4.5,
        5,
        trials=24,
        wall_s=4 * 60 * MINUTE_S,
        space={
            "students": [None, {"depth": 0.67}, {"depth": 0.5}],
            "prune": {"ratios": [0.0, 0.25, 0.5, 0.625], "granularity": ["channel", "head"]},
            "bits": [
                {"weight": 8, "activation": 8, "mode": "dynamic"},
                {"weight": 8, "activation": 32, "mode": "none"},
                {"weight": 32, "activation": 32, "mode": "none"},
            ],
            "recovery": [
                {
                    "epochs": 3.0,
                    "optimizer": "adamw",
                    "learning_rate": 1e-4,
                    "distill": {"features": "hidden"},
                }
            ],
        },
    ),
    Bar(
        "fashion-mobilenet",
        3,
        5,
        trials=40,
        wall_s=90 * MINUTE_S,
        space=_convolutions(ON_LABELS, students=[None]),
    ),
)


def quick(bar: Bar) -> Bar:
    """The same promise with the least search: six trials that train for an epoch."""
    space = bar.space | {"recovery": [{**item, "epochs": QUICK["epochs"]} for item in bar.space["recovery"]]}
    return Bar(bar.workload, bar.speedup, bar.ratio, 6, bar.wall_s, space, bar.within_s)
