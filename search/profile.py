"""A profile: how the loss reacts to each choice of a space, measured once by forward passes, and kept.

`evaluators.sensitivity` measures; here is what is asked for, what is kept, and how it is read: changes of the
loss never fall from mild to severe, since what looks like an improvement on a few images is noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from spaces import InvalidValue, LayerInfo, Reader, Student, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search.sweep import Floats
    from spaces import SearchSpace, StudentSpace

SCHEMA: Final = "tauten.profile/1"
METHOD_VERSION: Final = 1
"""Counts up when the measurement changes, so that stored profiles of an older one are taken anew."""

PROFILES: Final = ("small", "full", "fisher", "none")
DEFAULT_PROFILE: Final = "small"
LEAST_SHARE: Final = 1e-3
"""What each step on an axis adds at least, of the largest change; equal losses would leave choices alike."""


@dataclass(frozen=True, slots=True)
class StudentProfile:
    """The sensitivities of one student.

    Attributes:
        student: ``None`` is the reference.
        base_loss: with nothing compressed.
        ratios: by place of a ratio, the change of the loss of each choice as it was measured.
        bits: by layer, the same of its bit-widths.
        left: by place of a ratio and choice, the shares of multiply-accumulates and weights that are left of
            the layers that it changes.
        layers: with nothing compressed.
        operating_point: bits and ratio of all other layers while one was tried.
        passes: forward passes over the examples.
    """

    student: Student | None
    base_loss: float
    ratios: Mapping[str, tuple[float, ...]]
    bits: Mapping[str, tuple[float, ...]]
    left: Mapping[str, tuple[Mapping[str, tuple[float, float]], ...]]
    layers: tuple[LayerInfo, ...]
    operating_point: Mapping[str, float]
    passes: int

    def losses(self, space: StudentSpace) -> tuple[Floats, ...]:
        """What each choice of each axis adds to the loss: ascending from 0, by axis as in ``space.axes``."""
        measured = [
            *(self.ratios[name] for name in space.prune),
            *(self.bits[name] for name in space.bits),
            (0.0,) * len(space.recovery.choices),
        ]
        largest = max((max(values) for values in measured), default=0.0)
        least = LEAST_SHARE * (largest if largest > 0 else 1.0)
        rows = [monotone(values, least) for values in measured[:-1]]
        return (*rows, np.zeros(len(space.recovery.choices)))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "student": self.student and self.student.to_dict(),
            "base_loss": self.base_loss,
            "ratios": {name: list(values) for name, values in self.ratios.items()},
            "bits": {name: list(values) for name, values in self.bits.items()},
            "left": {
                name: [{layer: list(shares) for layer, shares in choice.items()} for choice in choices]
                for name, choices in self.left.items()
            },
            "layers": [layer.to_dict() for layer in self.layers],
            "operating_point": dict(self.operating_point),
            "passes": self.passes,
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> StudentProfile:
        """Reads the JSON form, or what `evaluators.sensitivity` answers.

        Raises:
            InvalidValue: a field is missing or of another kind, or a loss is not finite.
        """
        read = Reader(document, pointer)
        return read.build(
            cls,
            read.optional("student", Student.from_dict),
            read.number("base_loss"),
            read.mapping("ratios", _numbers),
            read.mapping("bits", _numbers),
            read.mapping("left", _left),
            read.items("layers", LayerInfo.from_dict),
            read.mapping("operating_point", _number),
            read.whole("passes"),
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """The sensitivities of all students of a space.

    Attributes:
        key: digest of what they depend on: workload, target, space, seed and kind.
        kind: ``small``, ``full`` or ``fisher``.
        students: in the order of the space.
        seconds: that the measurement took; a job's time includes them.
    """

    key: str
    kind: str
    students: tuple[StudentProfile, ...]
    seconds: float

    def trial_equivalents(self, trial_s: float) -> float:
        """What the measurement cost, in trials of some seconds each."""
        return self.seconds / trial_s if trial_s > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "schema": SCHEMA,
            "key": self.key,
            "kind": self.kind,
            "students": [student.to_dict() for student in self.students],
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, document: Any) -> Profile:
        """Reads the JSON form."""
        read = Reader(document, "")
        if read.text("schema") != SCHEMA:
            raise InvalidValue.at("/schema", f"must be {SCHEMA!r}, not {document['schema']!r}")
        return read.build(
            cls,
            read.text("key"),
            read.text("kind", None, PROFILES[:-1]),
            read.items("students", StudentProfile.from_dict),
            read.number("seconds"),
        )


def profile_key(space: SearchSpace, provenance: Mapping[str, Any], kind: str, seed: int) -> str:
    """Names a profile by what it depends on.

    Args:
        space: its axes and choices.
        provenance: the workload's digests and the target's fingerprint.
        kind: of the measurement.
        seed: of the examples.
    """
    facts = ("workload", "target", "deployment")
    return digest_of(
        {
            "version": METHOD_VERSION,
            "kind": kind,
            "seed": seed,
            "offers": offers(space),
            "provenance": {name: provenance[name] for name in facts if name in provenance},
        }
    )


def offers(space: SearchSpace) -> list[dict[str, Any]]:
    """What is to be measured, as `evaluators.sensitivity.Offer` reads it."""
    return [
        {
            "student": student.student and student.student.to_dict(),
            "ratios": {
                name: [student.granularity[name], list(axis.choices)] for name, axis in student.prune.items()
            },
            "bits": {
                name: [[bits.weight, bits.activation] for bits in axis.choices]
                for name, axis in student.bits.items()
            },
            "criterion": space.criterion,
        }
        for student in space.students
    ]


def _number(value: Any, pointer: str) -> float:
    return _numbers([value], pointer)[0]


def _numbers(values: Any, pointer: str) -> tuple[float, ...]:
    return Reader({"values": values}, pointer).numbers("values")


def _left(choices: Any, pointer: str) -> tuple[dict[str, tuple[float, float]], ...]:
    def read_choice(choice: Any, where: str) -> dict[str, tuple[float, float]]:
        shares = Reader(choice, where).rest(_numbers)
        return {layer: (macs, weights) for layer, (macs, weights) in shares.items()}

    return Reader({"choices": choices}, pointer).items("choices", read_choice)


def monotone(values: tuple[float, ...], least: float) -> Floats:
    """Changes that never fall, from 0 on: each at least the greatest before it and one small step more."""
    rising = np.maximum.accumulate(np.maximum(np.asarray(values, dtype=np.float64) - values[0], 0.0))
    steps: Floats = rising + least * np.arange(len(values))
    return steps
