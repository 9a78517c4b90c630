"""What a search job asks for: the value behind ``POST /jobs`` and ``tauten search``."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from search.profile import DEFAULT_PROFILE, PROFILES
from search.resources import Resources
from search.samplers import SAMPLERS, is_sampler
from search.source import Source
from spaces import (
    OBJECTIVES,
    Fault,
    InvalidPolicy,
    InvalidSpec,
    Metrics,
    Policy,
    Reader,
    SpaceRequest,
    escape,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_TRIALS: Final = 100_000
DEFAULT_TRIALS: Final = 40
DEFAULT_OBJECTIVES: Final = ("accuracy", "latency_ms", "size_bytes")
DEFAULT_SAMPLER: Final = "guided"
CONSTRAINABLE: Final = (*OBJECTIVES, "accuracy_drop")
RUNNERS: Final = ("local", "ray")
MAX_WORKERS: Final = 1024
ROUNDING: Final = 1e-9
MAX_SEED: Final = 2**31 - 1
FIDELITIES: Final = ("full", "ladder")


@dataclass(frozen=True, slots=True)
class Bound:
    """Limits of a metric, in its unit; both ends included."""

    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.low is None and self.high is None:
            raise InvalidSpec.at("", "needs 'min' or 'max'")
        if self.low is not None and self.high is not None and not self.low <= self.high:
            raise InvalidSpec.at("", f"no value lies between min {self.low:g} and max {self.high:g}")

    def excess(self, value: float) -> float:
        """How far a value lies outside; 0 inside, and where rounding alone puts it outside."""
        below = 0.0 if self.low is None else self.low - value
        above = 0.0 if self.high is None else value - self.high
        excess = max(below, above, 0.0)
        # 0.9967 - 0.9867 exceeds 0.01 by 9e-18: rounding of binary fractions breaks no constraint
        return 0.0 if excess <= ROUNDING * max(abs(value), 1.0) else excess

    def to_dict(self) -> dict[str, float]:
        """The JSON form."""
        return {name: end for name, end in (("min", self.low), ("max", self.high)) if end is not None}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Bound:
        """Reads ``{"max": …}``, ``{"min": …}`` or both."""
        read = Reader(document, pointer, InvalidSpec)
        return read.build(cls, read.number_or_none("min"), read.number_or_none("max"))


@dataclass(frozen=True, slots=True)
class Budget:
    """When a job ends.

    Attributes:
        trials: trials that are completed, infeasible or failed; anchors count.
        wall_s: seconds of running, or ``None``; the trial that is running when they are over is finished.
        min_gain: the search ends early once all that is left of the budget is expected to gain less than
            this share of the hypervolume that there is; 0 uses the budget up.
    """

    trials: int = DEFAULT_TRIALS
    wall_s: float | None = None
    min_gain: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.trials <= MAX_TRIALS:
            raise InvalidSpec.at("/trials", f"must be from 1 to {MAX_TRIALS}, not {shown(self.trials)}")
        if self.wall_s is not None and not self.wall_s >= 1:
            raise InvalidSpec.at("/wall_s", f"must be at least 1, not {shown(self.wall_s)}")
        if not 0 <= self.min_gain < 1:
            raise InvalidSpec.at("/min_gain", f"must be at least 0 and below 1, not {shown(self.min_gain)}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        min_gain = {"min_gain": self.min_gain} if self.min_gain else {}
        return {"trials": self.trials, "wall_s": self.wall_s, **min_gain}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Budget:
        """Reads the JSON form; with seconds and no trials, seconds alone end the job."""
        read = Reader(document, pointer, InvalidSpec)
        wall_s = read.number_or_none("wall_s")
        trials = read.whole("trials", DEFAULT_TRIALS if wall_s is None else MAX_TRIALS)
        return read.build(cls, trials, wall_s, read.number("min_gain", 0.0))


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
        profile: how sensitivities are measured before the first trial, for a sampler that reads them.
        budget: when the job ends.
        runner: where trials run: ``local``, one machine; ``ray``, a cluster.
        workers: trials that are evaluated at once.
        resources: what each of them reserves of a cluster.
        seed: of everything random; the same seed proposes the same.
        anchors: policies to try before any other, such as those imported from other tools' recipes.
        source: whose candidates are scored, where nothing is searched; the budget is their number then.
        fidelity: ``full`` recovers every candidate wholly; ``ladder`` begins with calibration alone and
            promotes who looks good to a short recovery, then to the full one, see `search.fidelity`.
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
    anchors: tuple[Policy, ...] = ()
    profile: str = DEFAULT_PROFILE
    source: Source | None = None
    fidelity: str = "full"
    workers: int = 1
    resources: Resources = field(default_factory=Resources)

    def __post_init__(self) -> None:
        object.__setattr__(self, "constraints", MappingProxyType(dict(self.constraints)))
        faults = tuple(self._faults())
        if faults:
            raise InvalidSpec(faults)

    def _faults(self) -> Iterator[Fault]:
        """What is wrong, field by field."""
        if not self.objectives:
            yield Fault("/objectives", "is empty; name one metric or more")
        for index, name in enumerate(self.objectives):
            if name not in OBJECTIVES:
                detail = f"{shown(name)} is not one of: {', '.join(OBJECTIVES)}"
                yield Fault(f"/objectives/{index}", detail)
            elif name in self.objectives[:index]:
                yield Fault(f"/objectives/{index}", f"{name!r} stands there already; name each metric once")
        for name in self.constraints:
            if name not in CONSTRAINABLE:
                detail = f"is no metric that can be bounded; choose one of: {', '.join(CONSTRAINABLE)}"
                yield Fault(f"/constraints/{escape(name)}", detail)
        for name, is_known, choices in (
            ("sampler", is_sampler(self.sampler), (*SAMPLERS, "optuna:NAMESampler", "module:Class")),
            ("profile", self.profile in PROFILES, PROFILES),
            ("runner", self.runner in RUNNERS, RUNNERS),
            ("fidelity", self.fidelity in FIDELITIES, FIDELITIES),
        ):
            if not is_known:
                detail = f"{shown(getattr(self, name))} is not one of: {', '.join(choices)}"
                yield Fault(f"/{name}", detail)
        yield from self._contradictions()
        yield from self._running_faults()
        if not 0 <= self.seed <= MAX_SEED:
            yield Fault("/seed", f"must be from 0 to {MAX_SEED}, not {shown(self.seed)}")

    def _contradictions(self) -> Iterator[Fault]:
        """Fields that do not go together."""
        if self.fidelity == "ladder" and "accuracy" not in self.objectives:
            yield Fault("/fidelity", "'ladder' compares by accuracy, which is not among the objectives")

    def _running_faults(self) -> Iterator[Fault]:
        """What is wrong with where and how trials run."""
        if not 1 <= self.workers <= MAX_WORKERS:
            yield Fault("/workers", f"must be from 1 to {MAX_WORKERS}, not {shown(self.workers)}")
        if self.runner == "local" and self.resources != Resources():
            yield Fault("/resources", "are reserved on a cluster alone; leave them out, or take runner 'ray'")

    def __reduce__(self) -> tuple[Any, ...]:
        return JobSpec.from_dict, (self.to_dict(),)

    def violations(self, metrics: Metrics) -> dict[str, float]:
        """How far each constraint is exceeded, by metric; met ones and unknown values are left out."""
        bounds = {name: bound for name, bound in self.constraints.items() if name in metrics}
        found = {name: bound.excess(metrics[name].value) for name, bound in bounds.items()}
        return {name: excess for name, excess in found.items() if excess > 0}

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        unusual: dict[str, Any] = {}
        if self.anchors:
            unusual["anchors"] = [policy.to_dict() for policy in self.anchors]
        if self.fidelity != "full":
            unusual["fidelity"] = self.fidelity
        if self.source:
            unusual["source"] = self.source.to_dict()
        if self.workers != 1:
            unusual["workers"] = self.workers
        if self.resources != Resources():
            unusual["resources"] = self.resources.to_dict()
        return {
            "workload": self.workload,
            "target": self.target,
            "objectives": list(self.objectives),
            "constraints": {name: bound.to_dict() for name, bound in self.constraints.items()},
            "space": self.space.to_dict(),
            "sampler": self.sampler,
            "profile": self.profile,
            "budget": self.budget.to_dict(),
            "runner": self.runner,
            "seed": self.seed,
            **unusual,
        }

    @classmethod
    def from_dict(cls, document: Any) -> JobSpec:
        """Reads the JSON form.

        Raises:
            InvalidSpec: a field is wrong; its pointer says which.
            InvalidSpace: the space is empty or contradicts itself.
        """
        read = Reader(document, "", InvalidSpec)
        return read.build(
            cls,
            workload=read.text("workload"),
            target=read.text("target", "local-cpu"),
            objectives=read.texts("objectives", DEFAULT_OBJECTIVES),
            constraints=read.mapping("constraints", Bound.from_dict),
            space=SpaceRequest.from_dict(read.raw("space"), "/space"),
            sampler=read.text("sampler", DEFAULT_SAMPLER),
            budget=read.optional("budget", Budget.from_dict) or Budget(),
            runner=read.text("runner", "local"),
            seed=read.whole("seed", 0),
            anchors=read.items("anchors", _read_anchor, ()),
            profile=read.text("profile", DEFAULT_PROFILE),
            source=read.optional("source", Source.from_dict),
            fidelity=read.text("fidelity", "full"),
            workers=read.whole("workers", 1),
            resources=read.optional("resources", Resources.from_dict) or Resources(),
        )


def _read_anchor(document: Any, pointer: str) -> Policy:
    try:
        return Policy.from_dict(document, pointer)
    except InvalidPolicy as error:
        raise InvalidSpec(error.faults) from None
