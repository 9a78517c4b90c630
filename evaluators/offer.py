"""What a search offers for one student: the choices whose sensitivities are measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from spaces import Student

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Offer:
    """What a search offers for one student.

    Attributes:
        student: ``None`` is the reference.
        ratios: by the layer or container where a ratio stands: what it removes, and the choices.
        bits: by layer: bits of weights and of activations of each choice.
        criterion: of pruning.
    """

    student: Student | None
    ratios: Mapping[str, tuple[str, tuple[float, ...]]]
    bits: Mapping[str, tuple[tuple[int, int], ...]]
    criterion: Any = "l1"

    @classmethod
    def from_dict(cls, document: Any) -> Offer:
        """Reads what the controller sends."""
        student = document["student"]
        return cls(
            student and Student.from_dict(student),
            {name: (unit, tuple(choices)) for name, (unit, choices) in document["ratios"].items()},
            {name: tuple((w, a) for w, a in choices) for name, choices in document["bits"].items()},
            document["criterion"],
        )
