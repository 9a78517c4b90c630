"""What a user asks to be searched (the job's ``space``), before any model is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Final

from spaces.capabilities import Capabilities
from spaces.errors import Fault, InvalidPolicy, InvalidSpace
from spaces.policy import ActivationFormat, Criterion, LayerPolicy, Prune, Recovery, Student, WeightFormat
from spaces.reading import Reader

DEFAULT_RATIOS: Final = (0.0, 0.25, 0.5, 0.75)
DEFAULT_STUDENTS: Final = (None, Student(depth=0.5))
DEFAULT_RECOVERY: Final = (Recovery(epochs=2.0),)


@dataclass(frozen=True, slots=True)
class Bits:
    """One choice of bit-widths for a layer; 32/32 leaves it in floating point.

    Attributes:
        weight: bits of the weights.
        activation: bits of the activations.
        mode: ``static``, ``dynamic`` or ``none``.
    """

    weight: int = 32
    activation: int = 32
    mode: str = "none"

    @property
    def formats(self) -> tuple[WeightFormat, ActivationFormat]:
        """The same as a policy says it."""
        mode: Any = self.mode
        return WeightFormat(self.weight), ActivationFormat(self.activation, mode)

    @property
    def is_float(self) -> bool:
        """The layer stays in 32-bit floating point."""
        return self.weight == self.activation == 32  # noqa: PLR2004

    @property
    def severity(self) -> tuple[int, int]:
        """Orders choices from mild to severe."""
        return -self.weight, -self.activation

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"weight": self.weight, "activation": self.activation, "mode": self.mode}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Bits:
        """Reads the JSON form; `InvalidSpace` names the pointer of a combination that cannot be."""
        read = Reader(document, pointer, InvalidSpace)
        weight = read.whole("weight", 32, low=2, high=32)
        activation = read.whole("activation", 32, low=2, high=32)
        mode = read.text("mode", "none" if activation > 8 else "static", ("none", "dynamic", "static"))  # noqa: PLR2004
        read.done()
        bits = cls(weight, activation, mode)
        try:
            _ = bits.formats
        except InvalidPolicy as error:
            raise InvalidSpace.at(pointer, error.faults[0].detail) from None
        return bits


DEFAULT_BITS: Final = (Bits(), Bits(8, 8, "static"))


@dataclass(frozen=True, slots=True)
class LayerRule:
    """What the layers that match a glob may take; ``None`` leaves the space's general choice.

    Attributes:
        keep: the layers stay as they are: no pruning, no quantization.
        ratios: prune ratios.
        bits: bit-widths.
    """

    keep: bool = False
    ratios: tuple[float, ...] | None = None
    bits: tuple[Bits, ...] | None = None

    def to_dict(self) -> Any:
        """The JSON form: ``"keep"`` or an object."""
        if self.keep:
            return "keep"
        prune = {} if self.ratios is None else {"prune": {"ratios": list(self.ratios)}}
        return prune if self.bits is None else prune | {"bits": [bits.to_dict() for bits in self.bits]}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> LayerRule:
        """Reads the JSON form."""
        if document == "keep":
            return cls(keep=True)
        if isinstance(document, str):
            raise InvalidSpace.at(pointer, f"must be 'keep' or an object, not {document!r}")
        read = Reader(document, pointer, InvalidSpace)
        prune = read.optional("prune", _read_ratios)
        bits = read.items("bits", Bits.from_dict, ()) if isinstance(document, Mapping) and "bits" in document else None
        read.done()
        if bits == ():
            raise InvalidSpace.at(f"{pointer}/bits", "is empty; leave it out for the general choice, or use 'keep'")
        return cls(ratios=prune, bits=_by_severity(bits))


@dataclass(frozen=True)
class SpaceRequest:
    """The choices that a job offers, valid in themselves; the model and the target narrow them later.

    Attributes:
        students: models to start from; ``None`` is the reference. Empty means the default: the reference and,
            where the model has repeated blocks, half its depth.
        ratios: prune ratios, ascending.
        criterion: how the least important channels are found.
        bits: bit-widths, from mild to severe.
        recovery: trainings to choose from; ``None`` trains nothing.
        layers: exceptions by glob over module paths; the first that matches holds.
    """

    students: tuple[Student | None, ...] = ()
    ratios: tuple[float, ...] = DEFAULT_RATIOS
    criterion: Criterion = "l1"
    bits: tuple[Bits, ...] = DEFAULT_BITS
    recovery: tuple[Recovery | None, ...] = DEFAULT_RECOVERY
    layers: Mapping[str, LayerRule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", MappingProxyType(dict(self.layers)))
        for name, choices in (("prune/ratios", self.ratios), ("bits", self.bits), ("recovery", self.recovery)):
            if not choices:
                raise InvalidSpace.at(f"/{name}", "is empty; leave it out for the default, or name one choice")
        single = len(self.ratios) == len(self.bits) == len(self.recovery) == len(self.students) == 1
        if single and not self.layers:
            raise InvalidSpace.at("", "describes a single policy, so there is nothing to search; widen a list")

    def __reduce__(self) -> tuple[Any, ...]:
        return SpaceRequest.from_dict, (self.to_dict(),)

    def rule_for(self, layer: str) -> LayerRule:
        """The first exception whose glob matches a layer's module path, or an empty rule."""
        return next((rule for glob, rule in self.layers.items() if fnmatchcase(layer, glob)), LayerRule())

    def check(self, capabilities: Capabilities, target: str) -> None:
        """Refuses bit-widths that the target runs for no operator at all.

        Raises:
            InvalidSpace: with a pointer to each such choice.
        """
        groups = [("/bits", self.bits)] + [
            (f"/layers/{glob.replace('~', '~0').replace('/', '~1')}/bits", rule.bits or ())
            for glob, rule in self.layers.items()
        ]
        faults = [
            Fault(f"{where}/{index}", f"target {target!r} cannot run {_words(bits)}; it runs {capabilities.describe()}")
            for where, options in groups
            for index, bits in enumerate(options)
            if not bits.is_float and not _runs_somewhere(bits, capabilities)
        ]
        if faults:
            raise InvalidSpace(faults)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "students": [None if student is None else student.to_dict() for student in self.students],
            "prune": {"ratios": list(self.ratios), "granularity": ["channel"], "criterion": self.criterion},
            "bits": [bits.to_dict() for bits in self.bits],
            "recovery": [None if item is None else item.to_dict() for item in self.recovery],
            "layers": {glob: rule.to_dict() for glob, rule in self.layers.items()},
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> SpaceRequest:
        """Reads the job's ``space``; a missing or null document is the default space.

        Raises:
            InvalidSpace: with the pointer of the wrong field; pointers begin with `pointer`.
        """
        if document is None:
            return cls()
        read = Reader(document, pointer, InvalidSpace)
        try:
            students = read.items("students", _nullable(Student.from_dict), ())
            ratios, criterion = read.optional("prune", _read_prune) or (DEFAULT_RATIOS, "l1")
            bits = read.items("bits", Bits.from_dict, DEFAULT_BITS)
            recovery = read.items("recovery", _nullable(Recovery.from_dict), DEFAULT_RECOVERY)
            layers = read.mapping("layers", LayerRule.from_dict)
            read.done()
            return cls(_unique(students), ratios, criterion, _by_severity(bits) or (), _unique(recovery), layers)
        except InvalidPolicy as error:
            raise InvalidSpace(error.faults) from None
        except InvalidSpace as error:
            inside = tuple(
                fault if fault.pointer.startswith(pointer) else Fault(pointer + fault.pointer, fault.detail)
                for fault in error.faults
            )
            raise InvalidSpace(inside) from None


def _nullable(read: Any) -> Any:
    return lambda item, pointer: None if item is None else read(item, pointer)


def _unique(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(items))


def _by_severity(bits: tuple[Bits, ...] | None) -> tuple[Bits, ...] | None:
    return None if bits is None else tuple(sorted(set(bits), key=lambda option: (option.severity, option.mode)))


def _read_ratio(item: Any, pointer: str) -> float:
    read = Reader({"ratio": item}, pointer, InvalidSpace)
    try:
        return Prune(read.number("ratio", low=0, below=1)).ratio
    except InvalidSpace as error:
        raise InvalidSpace.at(pointer, error.faults[0].detail) from None


def _read_ratios(document: Any, pointer: str) -> tuple[float, ...]:
    return _read_prune(document, pointer)[0]


def _read_prune(document: Any, pointer: str) -> tuple[tuple[float, ...], Criterion]:
    read = Reader(document, pointer, InvalidSpace)
    ratios = read.items("ratios", _read_ratio, DEFAULT_RATIOS)
    for index, granularity in enumerate(read.items("granularity", lambda item, _: item, ("channel",))):
        if granularity != "channel":
            raise InvalidSpace.at(f"{pointer}/granularity/{index}", f"{granularity!r} cannot be searched; use 'channel'")
    criterion: Any = read.text("criterion", "l1", ("l1", "l2", "random"))
    read.done()
    if not ratios:
        raise read.fail("ratios", "is empty; leave it out for the default, or name one ratio such as 0")
    return tuple(sorted(set(ratios))), criterion


def _runs_somewhere(bits: Bits, capabilities: Capabilities) -> bool:
    weight, activation = bits.formats
    layer = LayerPolicy(weight=weight, activation=activation)
    return any(capabilities.executed_as(kernel.op, layer) for kernel in capabilities.kernels)


def _words(bits: Bits) -> str:
    return f"{bits.weight}-bit weights with {bits.activation}-bit {bits.mode} activations"
