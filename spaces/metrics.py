"""The metrics' names, units and directions, and the value that carries its uncertainty and its origin."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from spaces.errors import InvalidValue
from spaces.reading import Reader

Direction = Literal["maximize", "minimize"]


class Method(StrEnum):
    """How a number came about; a front never mixes them."""

    MEASURED = "measured"
    MODELLED = "modelled"
    SIMULATED = "simulated"


UNITS: Final[dict[str, str]] = {
    "accuracy": "fraction",
    "accuracy_drop": "fraction",
    "latency_ms": "ms",
    "size_bytes": "byte",
    "packed_size_bytes": "byte",
    "macs": "mac",
    "peak_memory_bytes": "byte",
    "energy_mj": "mJ",
}
"""Every metric that an objective or a constraint may name, with its unit."""

OBJECTIVES: Final = (
    "accuracy",
    "latency_ms",
    "size_bytes",
    "packed_size_bytes",
    "macs",
    "peak_memory_bytes",
    "energy_mj",
)
"""The metrics that the evaluators of this version produce and a job may optimise; energy needs a target that
declares picojoules."""


def direction(metric: str) -> Direction:
    """``maximize`` for accuracy, ``minimize`` for the rest."""
    return "maximize" if metric == "accuracy" else "minimize"


@dataclass(frozen=True, slots=True)
class Metric:
    """One number with what is known about it.

    Attributes:
        value: finite.
        unit: of `UNITS`.
        method: how it came about.
        low: lower end of the 95 % interval, or ``None`` for an exact number.
        high: upper end.
        split: the data split that it was computed on, or ``None``.
        speedup: reference latency over this latency, same runtime; latency only.
        ratio: reference over this; sizes and counts only.
        contended: the machine was busy while measuring; latency only.
        p_value: the chance of a difference at least as large between equally good models; drops only.
        calibrated: the model was fitted to measurements of its target; modelled latency only.
        again: the mean over trainings with fresh seeds of the same policy, none of which was selected; a
            finalist's accuracy and drop only.
    """

    value: float
    unit: str
    method: Method = Method.MEASURED
    low: float | None = None
    high: float | None = None
    split: str | None = None
    speedup: float | None = None
    ratio: float | None = None
    contended: bool | None = None
    p_value: float | None = None
    calibrated: bool | None = None
    again: float | None = None

    def __post_init__(self) -> None:
        if not abs(self.value) < math.inf:
            raise InvalidValue.at("/value", f"must be finite, not {self.value!r}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without what is not known."""
        optional = (
            "low",
            "high",
            "split",
            "speedup",
            "ratio",
            "contended",
            "p_value",
            "calibrated",
            "again",
        )
        known = {name: getattr(self, name) for name in optional if getattr(self, name) is not None}
        return {"value": self.value, "unit": self.unit, "method": str(self.method)} | known

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Metric:
        """Reads the JSON form."""
        read = Reader(document, pointer)
        read.number("value")
        return read.build(
            cls,
            document["value"],  # as it is: a count stays a whole number
            read.text("unit"),
            Method(read.text("method", "measured", tuple(Method))),
            low=read.number_or_none("low"),
            high=read.number_or_none("high"),
            split=read.text_or_none("split"),
            speedup=read.number_or_none("speedup"),
            ratio=read.number_or_none("ratio"),
            contended=read.flag_or_none("contended"),
            p_value=read.number_or_none("p_value"),
            calibrated=read.flag_or_none("calibrated"),
            again=read.number_or_none("again"),
        )


Metrics = dict[str, Metric]
"""Metrics by name."""


def metrics_to_dict(metrics: Metrics) -> dict[str, Any]:
    """The JSON form of named metrics."""
    return {name: metric.to_dict() for name, metric in metrics.items()}


def metrics_from_dict(document: Any, pointer: str = "") -> Metrics:
    """Reads named metrics."""
    return Reader(document, pointer).rest(Metric.from_dict)
