"""What a search job asks for: the value behind ``POST /jobs`` and ``tauten search``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from spaces import OBJECTIVES, Fault, InvalidSpec, Metrics, Reader, SpaceRequest, escape

from search.samplers import SAMPLERS

MAX_TRIALS: Final = 100_000
DEFAULT_OBJECTIVES: Final = ("accuracy", "latency_ms", "size_bytes")
DEFAULT_SAMPLER: Final = "tpe"
CONSTRAINABLE: Final = (*OBJECTIVES, "accuracy_drop")
RUNNERS: Final = ("local",)


@dataclass(frozen=True, slots=True)
class Bound:
    """Limits of a metric, in its unit; both ends included."""

    low: float | None = None
    high: float | None = None

    def excess(self, value: float) -> float:
        """How far a value lies outside, 0 inside."""
        below = 0.0 if self.low is None else self.low - value
        above = 0.0 if self.high is None else value - self.high
        return max(below, above, 0.0)

    def to_dict(self) -> dict[str, float]:
        """The JSON form."""
        return {name: end for name, end in (("min", self.low), ("max", self.high)) if end is not None}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Bound:
        """Reads ``{"max": …}``, ``{"min": …}`` or both."""
        read = Reader(document, pointer, InvalidSpec)
        low, high = read.number_or_none("min"), read.number_or_none("max")
        read.done()
        if low is None and high is None:
            raise InvalidSpec.at(pointer, "needs 'min' or 'max'")
        if low is not None and high is not None and low > high:
            raise InvalidSpec.at(pointer, f"no value lies between min {low:g} and max {high:g}")
        return cls(low, high)


@dataclass(frozen=True, slots=True)
class Budget:
    """When a job ends.

    Attributes:
        trials: trials that are completed, infeasible or failed; anchors count.
        wall_s: seconds of running, or ``None``; the trial that is running when they are over is finished.
    """

    trials: int = 40
    wall_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"trials": self.trials, "wall_s": self.wall_s}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Budget:
        """Reads the JSON form."""
        read = Reader(document, pointer, InvalidSpec)
        trials = read.whole("trials", 40, low=1, high=MAX_TRIALS)
        wall = read.number_or_none("wall_s", low=1)
        read.done()
        return cls(trials, wall)


@dataclass(frozen=True)
class JobSpec:
    """A search request, valid in itself; names are resolved by whoever knows the registries.

    Attributes:
        workload: a registered name (or, on the command line alone, ``path.py:factory``).
        target: name of a hardware target.
        objectives: metrics to trade off; accuracy is maximised, the rest minimised.
        constraints: limits by metric.
        space: the choices offered.
        sampler: who proposes.
        budget: when the job ends.
        runner: where trials run.
        seed: of everything random; the same seed proposes the same.
    """

    workload: str
    target: str = "local-cpu"
    objectives: tuple[str, ...] = DEFAULT_OBJECTIVES
    constraints: Mapping[str, Bound] = field(default_factory=dict)
    space: SpaceRequest = field(default_factory=SpaceRequest)
    sampler: str = DEFAULT_SAMPLER
    budget: Budget = field(default_factory=Budget)
    runner: str = "local"
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "constraints", MappingProxyType(dict(self.constraints)))
        faults = [
            Fault(f"/constraints/{escape(name)}", f"unknown metric; choose one of: {', '.join(CONSTRAINABLE)}")
            for name in self.constraints
            if name not in CONSTRAINABLE
        ]
        faults += [
            Fault(f"/objectives/{index}", f"unknown metric {name!r}; choose among: {', '.join(OBJECTIVES)}")
            for index, name in enumerate(self.objectives)
            if name not in OBJECTIVES
        ]
        if not self.objectives or len(set(self.objectives)) != len(self.objectives):
            faults.append(Fault("/objectives", "needs one metric or more, each once"))
        if faults:
            raise InvalidSpec(faults)

    def __reduce__(self) -> tuple[Any, ...]:
        return JobSpec.from_dict, (self.to_dict(),)

    def violations(self, metrics: Metrics) -> dict[str, float]:
        """How far each constraint is exceeded, by metric; met ones and unknown values are left out."""
        found = {
            name: bound.excess(metrics[name].value) for name, bound in self.constraints.items() if name in metrics
        }
        return {name: excess for name, excess in found.items() if excess > 0}

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "workload": self.workload,
            "target": self.target,
            "objectives": list(self.objectives),
            "constraints": {name: bound.to_dict() for name, bound in self.constraints.items()},
            "space": self.space.to_dict(),
            "sampler": self.sampler,
            "budget": self.budget.to_dict(),
            "runner": self.runner,
            "seed": self.seed,
        }

    @classmethod
    def from_dict(cls, document: Any) -> JobSpec:
        """Reads the JSON form.

        Raises:
            InvalidSpec: a field is wrong; its pointer says which.
            InvalidSpace: the space is empty or contradicts itself.
        """
        read = Reader(document, "", InvalidSpec)
        spec = {
            "workload": read.text("workload"),
            "target": read.text("target", "local-cpu"),
            "objectives": read.items("objectives", _name, DEFAULT_OBJECTIVES),
            "constraints": read.mapping("constraints", Bound.from_dict),
            "space": SpaceRequest.from_dict(read.raw("space"), "/space"),
            "sampler": read.text("sampler", DEFAULT_SAMPLER, SAMPLERS),
            "budget": read.optional("budget", Budget.from_dict) or Budget(),
            "runner": read.text("runner", "local", RUNNERS),
            "seed": read.whole("seed", 0, high=2**31 - 1),
        }
        read.done()
        return cls(**spec)


def _name(item: Any, pointer: str) -> str:
    if not isinstance(item, str):
        raise InvalidSpec.at(pointer, f"must be the name of a metric, not {item!r}")
    return item
