"""What was fitted to a target's latency from measured samples, with how well it predicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from evaluators.targets.hardware import CALL, among, figures, kernel_names, not_negative
from spaces import InvalidTarget, Reader, escape

if TYPE_CHECKING:
    from collections.abc import Mapping

HIGHEST_EFFICIENCY: Final = 100.0
"""A fitted efficiency may pass 1 where the declared peak is too low; past this it is a mistake of units."""


TRAFFIC: Final = ("inputs", "weights", "outputs")
"""What a blocked product moves through the caches: `evaluators.modelled.roofline.KernelTime.traffic`."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Efficiency, overhead and traffic, fitted.

    Attributes:
        efficiency: share of the peak rate by kernel; ``other`` is a share of the bandwidth.
        overhead_us: microseconds by kernel, and once a ``call``.
        mape: mean absolute error of predictions for samples that the fit did not see, a share.
        tau: Kendall's rank correlation of the same predictions with the measurements.
        error_95: the error that 95 % of these predictions do not exceed, a share.
        samples: that count.
        fingerprint: of the machine that the samples were measured on.
        traffic_ns: nanoseconds by kernel for an input, a weight and an output that a product moves.
    """

    efficiency: Mapping[str, float]
    overhead_us: Mapping[str, float]
    mape: float
    tau: float
    error_95: float
    samples: int
    fingerprint: Mapping[str, Any] = field(default_factory=dict)
    traffic_ns: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The form of the YAML file."""
        return {
            "efficiency": dict(self.efficiency),
            "overhead_us": dict(self.overhead_us),
            "traffic_ns": {
                name: dict(zip(TRAFFIC, each, strict=True)) for name, each in self.traffic_ns.items()
            },
            "mape": self.mape,
            "tau": self.tau,
            "error_95": self.error_95,
            "samples": self.samples,
            "fingerprint": dict(self.fingerprint),
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Calibration:
        """Reads the form of the YAML file; `InvalidTarget` names the field."""
        read = Reader(document, pointer, InvalidTarget)
        efficiency = figures(
            read.required("efficiency"), read.at("efficiency"), kernel_names(), high=HIGHEST_EFFICIENCY
        )
        overhead = overheads(read.required("overhead_us"), read.at("overhead_us"))
        traffic = read.mapping("traffic_ns", _read_traffic)
        for name in traffic:
            among(name, f"{read.at('traffic_ns')}/{escape(name)}", kernel_names())
        return read.build(
            cls,
            efficiency,
            overhead,
            read.number("mape", low=0),
            read.number("tau", low=-1, high=1),
            read.number("error_95", low=0),
            read.whole("samples", low=1),
            read.mapping("fingerprint", lambda item, _: item),
            traffic,
        )


def _read_traffic(document: Any, pointer: str) -> tuple[float, float, float]:
    found = figures(document, pointer, TRAFFIC, read_value=not_negative)
    missing = [name for name in TRAFFIC if name not in found]
    if missing:
        raise InvalidTarget.at(f"{pointer}/{missing[0]}", "is required")
    inputs, weights, outputs = (found[name] for name in TRAFFIC)
    return inputs, weights, outputs


def overheads(document: Any, pointer: str) -> dict[str, float]:
    """Microseconds by kernel, each at least 0; `InvalidTarget` names the field."""
    return figures(document, pointer, kernel_names(CALL), read_value=not_negative)
