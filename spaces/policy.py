"""One point of the search space: what happens to each layer of a model. Pure values; applies nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from spaces.canonical import digest_of
from spaces.checks import assign, check
from spaces.errors import InvalidPolicy
from spaces.formats import FLOAT_BITS, ActivationFormat, WeightFormat
from spaces.prune import Prune
from spaces.reading import Reader, escape, shown
from spaces.recovery import Recovery

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA: Final = "tauten.policy/1"


@dataclass(frozen=True, slots=True)
class LayerPolicy:
    """What happens to one layer; ``None`` leaves that part as it is."""

    prune: Prune | None = None
    weight: WeightFormat | None = None
    activation: ActivationFormat | None = None

    @property
    def is_empty(self) -> bool:
        """Nothing is asked of the layer."""
        return self.prune is None and self.weight is None and self.activation is None

    @property
    def is_quantized(self) -> bool:
        """Weights or activations have fewer than 32 bits."""
        formats = (self.weight, self.activation)
        return any(part is not None and part.bits < FLOAT_BITS for part in formats)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without the parts that are left as they are."""
        parts = {"prune": self.prune, "weight": self.weight, "activation": self.activation}
        return {name: part.to_dict() for name, part in parts.items() if part is not None}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> LayerPolicy:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        return read.build(
            cls,
            read.optional("prune", Prune.from_dict),
            read.optional("weight", WeightFormat.from_dict),
            read.optional("activation", ActivationFormat.from_dict),
        )


@dataclass(frozen=True, slots=True)
class Student:
    """A smaller model that takes the reference's place.

    Attributes:
        family: ``self`` derives it from the reference; other names come from the workload.
        depth: share of repeated blocks kept, ``0 < depth <= 1``.
        width: share of channels kept, ``0 < width <= 1``.
    """

    family: str = "self"
    depth: float = 1.0
    width: float = 1.0

    def __post_init__(self) -> None:
        check(bool(self.family), "/family", "must name a family, such as 'self'")
        check(0 < self.depth <= 1, "/depth", f"must be above 0 and at most 1, not {shown(self.depth)}")
        check(0 < self.width <= 1, "/width", f"must be above 0 and at most 1, not {shown(self.width)}")
        assign(self, depth=float(self.depth), width=float(self.width))

    def __str__(self) -> str:
        return f"{self.family} depth {self.depth:g} width {self.width:g}"

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"family": self.family, "depth": self.depth, "width": self.width}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Student:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        return read.build(
            cls, read.text("family", "self"), read.number("depth", 1.0), read.number("width", 1.0)
        )


@dataclass(frozen=True)
class Policy:
    """A whole policy: a student, what happens to each of its layers, and how accuracy is recovered.

    Layers that are left out, or asked nothing of, stay as they are. Equal policies have equal digests.

    Attributes:
        student: ``None`` compresses the reference itself.
        layers: by module path of the student's model, sorted; empty entries are dropped.
        recovery: ``None`` trains nothing.
    """

    student: Student | None = None
    layers: Mapping[str, LayerPolicy] = field(default_factory=dict)
    recovery: Recovery | None = None

    def __post_init__(self) -> None:
        for name in self.layers:
            check(bool(name), "/layers/", "a layer's name is empty")
        kept = {name: layer for name, layer in sorted(self.layers.items()) if not layer.is_empty}
        assign(self, layers=MappingProxyType(kept))

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Policy.from_dict, (self.to_dict(),)

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the canonical JSON; it names the policy everywhere."""
        return digest_of(self.to_dict())

    def reduced(self, share: float) -> Policy:
        """The same with a share of its recovery's training: what a trial of that fidelity evaluates."""
        return self if self.recovery is None else replace(self, recovery=self.recovery.reduced(share))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, ``tauten.policy/1``."""
        return {
            "schema": SCHEMA,
            "student": None if self.student is None else self.student.to_dict(),
            "layers": {name: layer.to_dict() for name, layer in self.layers.items()},
            "recovery": None if self.recovery is None else self.recovery.to_dict(),
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Policy:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        read.text("schema", choices=(SCHEMA,))
        return read.build(
            cls,
            read.optional("student", Student.from_dict),
            read.mapping("layers", LayerPolicy.from_dict),
            read.optional("recovery", Recovery.from_dict),
        )


def layer_pointer(layer: str, part: str = "") -> str:
    """The JSON pointer of a layer in a policy."""
    return f"/layers/{escape(layer)}" + (f"/{part}" if part else "")
