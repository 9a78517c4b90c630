"""The gate before training: a candidate that no accuracy could bring to the front is not trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spaces import Metrics

CEILING: Final = 1.0
"""The highest accuracy there is, a fraction."""

TIE: Final = 0.03
"""Latencies closer than this share are a tie and gate nothing."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Closed to candidates that a trial of the highest accuracy already beats on every cost.

    Attributes:
        unbeatable: the costs (objectives that are minimised) of trials whose accuracy is the ceiling.
    """

    unbeatable: Sequence[Mapping[str, float]] = field(default=())

    def refuses(self, metrics: Metrics) -> str | None:
        """Why a candidate cannot reach the front, or ``None``.

        Args:
            metrics: its cheap metrics.
        """
        for costs in self.unbeatable:
            if costs and all(_clearly_beats(name, value, metrics) for name, value in costs.items()):
                beaten = ", ".join(f"{name} {value:g}" for name, value in costs.items())
                return (
                    f"could not reach the front at any accuracy: a trial of accuracy {CEILING:g} has {beaten}"
                )
        return None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"unbeatable": [dict(costs) for costs in self.unbeatable]}


def _clearly_beats(name: str, value: float, metrics: Metrics) -> bool:
    if name not in metrics:
        return False
    margin = 1 - TIE if name == "latency_ms" else 1.0
    return value < metrics[name].value * margin or (name != "latency_ms" and value == metrics[name].value)
