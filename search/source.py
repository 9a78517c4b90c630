"""Where candidates come from in a job that searches nothing, but scores another's on its own target."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from spaces import InvalidSpec, Reader

if TYPE_CHECKING:
    from collections.abc import Mapping

Wanted: TypeAlias = Literal["all", "front"] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """The job that made some candidates, as it was when they were taken from it.

    Attributes:
        job: its id; the job may be deleted since.
        target: that it searched for.
        trials: which of its trials were asked for: all that completed, those on its front, some by number.
        provenance: of its numbers, see `evaluators.evaluator.Evaluator.provenance`: with it, the scoring
            process finds out whether accuracy can be taken over.
    """

    job: str
    target: str
    trials: Wanted = "all"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "provenance", MappingProxyType(dict(self.provenance)))

    def __reduce__(self) -> tuple[Any, ...]:
        return Source.from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        trials = self.trials if isinstance(self.trials, str) else list(self.trials)
        provenance = dict(self.provenance)
        return {"job": self.job, "target": self.target, "trials": trials, "provenance": provenance}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Source:
        """Reads the JSON form."""
        read = Reader(document, pointer, InvalidSpec)
        job, target, provenance = read.text("job"), read.text("target"), read.required("provenance")
        trials = read.raw("trials")
        if isinstance(trials, list) and all(isinstance(number, int) for number in trials):
            trials = tuple(trials)
        elif trials not in {"all", "front"}:
            raise read.fail("trials", "must be all, front, or a list of trial numbers")
        if not isinstance(provenance, dict):
            raise read.fail("provenance", "must be an object")
        return read.build(cls, job, target, trials, provenance)
