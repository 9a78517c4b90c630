"""What each evaluator of a job reserves of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spaces import InvalidSpec, Reader, shown


@dataclass(frozen=True, slots=True)
class Resources:
    """Of one evaluator.

    Attributes:
        cpu: cores; training takes as many threads, or as many as the machine has where it is ``None``, which
            reserves one core.
        gpu: devices, or a share of one.
    """

    cpu: int | None = None
    gpu: float = 0.0

    def __post_init__(self) -> None:
        if self.cpu is not None and self.cpu < 1:
            raise InvalidSpec.at("/cpu", f"must be at least 1, not {shown(self.cpu)}")
        if not (0 <= self.gpu <= 1 or float(self.gpu).is_integer()) or self.gpu < 0:
            raise InvalidSpec.at("/gpu", f"must be a share up to 1 or a whole number, not {shown(self.gpu)}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"cpu": self.cpu, "gpu": self.gpu}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Resources:
        """Reads the JSON form.

        Raises:
            InvalidSpec: a field is wrong; its pointer says which.
        """
        read = Reader(document, pointer, InvalidSpec)
        return read.build(cls, read.whole_or_none("cpu"), read.number_or_none("gpu") or 0.0)
