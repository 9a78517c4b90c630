"""What a user asks to be searched (the job's ``space``), as it is written, before any model is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

from spaces.errors import Fault, InvalidPolicy, InvalidSpace
from spaces.formats import FLOAT_BITS, ActivationFormat, WeightFormat, check_bits, check_mode, default_mode
from spaces.policy import Student
from spaces.prune import Criterion, Prune, n_of_m
from spaces.reading import Reader, escape, shown
from spaces.recovery import Recovery

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from spaces.capabilities import Capabilities

T = TypeVar("T")

DEFAULT_RATIOS: Final = (0.0, 0.25, 0.5, 0.75)
DEFAULT_STUDENTS: Final = (None, Student(depth=0.5))
DEFAULT_RECOVERY: Final[tuple[Recovery | None, ...]] = (Recovery(epochs=2.0),)
ENCODER_RECOVERY: Final[tuple[Recovery | None, ...]] = (Recovery(epochs=2.0, optimizer="adamw"),)
"""Takes the default's place where a model is not mostly convolutions: SGD's rate unlearns encoders."""

DEFAULT_GRANULARITIES: Final = ("channel", "head")
SEARCHED_GRANULARITIES: Final = ("channel", "head", "layer", "weight", "n:m")
"""Single zero weights, with or without a pattern, are searched on targets that do not compute them; on others
they change neither latency nor size, so that there is nothing to search."""

HINTS: Final = ("accuracy-critical", "real-time", "cross-architecture")
"""What matters to the task; narrows the default choices, see `spaces.defaults`."""


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

    def __post_init__(self) -> None:
        check_bits(self.weight, "/weight", InvalidSpace)
        check_bits(self.activation, "/activation", InvalidSpace)
        check_mode(self.mode, self.activation, "/mode", InvalidSpace)

    def __str__(self) -> str:
        return f"{self.weight}-bit weights with {self.activation}-bit {self.mode} activations"

    @property
    def formats(self) -> tuple[WeightFormat, ActivationFormat]:
        """The same as a policy says it."""
        mode: Any = self.mode
        return WeightFormat(self.weight), ActivationFormat(self.activation, mode)

    @property
    def is_float(self) -> bool:
        """The layer stays in 32-bit floating point."""
        return self.weight == self.activation == FLOAT_BITS

    @property
    def severity(self) -> tuple[int, int, str]:
        """Orders choices from mild to severe."""
        return -self.weight, -self.activation, self.mode

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"weight": self.weight, "activation": self.activation, "mode": self.mode}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Bits:
        """Reads the JSON form; `InvalidSpace` names the pointer of a combination that cannot be."""
        read = Reader(document, pointer, InvalidSpace)
        weight, activation = read.whole("weight", FLOAT_BITS), read.whole("activation", FLOAT_BITS)
        return read.build(cls, weight, activation, read.text("mode", default_mode(activation)))


DEFAULT_BITS: Final = (Bits(), Bits(8, 8, "static"))
"""For models that are mostly convolutions; others are offered `ENCODER_BITS`."""

ENCODER_BITS: Final = (*DEFAULT_BITS, Bits(8, 8, "dynamic"), Bits(8, 32))
"""Encoders and recurrent models run well with ranges found at run time, and their tables of embeddings with
weights alone in integers."""


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

    def __post_init__(self) -> None:
        if self.keep and (self.ratios is not None or self.bits is not None):
            raise InvalidSpace.at("", "keeps the layers as they are, so it takes no choices")
        if self.ratios is not None:
            object.__setattr__(self, "ratios", _checked_ratios(self.ratios))
        if self.bits is not None:
            _check_not_empty(self.bits, "/bits")

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
        ratios = read.optional("prune", _read_rule_ratios)
        return read.build(cls, ratios=ratios, bits=read.items_or_none("bits", Bits.from_dict))


@dataclass(frozen=True)
class SpaceRequest:
    """The choices that a job offers, valid in themselves; the model and the target narrow them later.

    Lists stay as they are written, so that an index in a pointer means what the user wrote; `SearchSpace`
    sorts them and drops what is there twice.

    Attributes:
        students: models to start from; ``None`` is the reference. Empty means the default: the reference and,
            where the model has repeated blocks, half its depth.
        ratios: prune ratios.
        criterion: how the least important parts are found.
        granularities: what ratios remove, where a model has it: ``channel``, ``head``, ``layer`` (blocks).
        bits: bit-widths; the default is `DEFAULT_BITS` as `SearchSpace` narrows it for the model.
        recovery: trainings to choose from; ``None`` trains nothing.
        layers: exceptions by glob over module paths; the first that matches holds.
        hint: of `HINTS`, or ``None``; narrows what is left to the default.
    """

    students: tuple[Student | None, ...] = ()
    ratios: tuple[float, ...] = DEFAULT_RATIOS
    criterion: Criterion = "l1"
    granularities: tuple[str, ...] = DEFAULT_GRANULARITIES
    bits: tuple[Bits, ...] = DEFAULT_BITS
    recovery: tuple[Recovery | None, ...] = DEFAULT_RECOVERY
    layers: Mapping[str, LayerRule] = field(default_factory=dict)
    hint: str | None = None

    def __post_init__(self) -> None:
        if self.hint is not None and self.hint not in HINTS:
            raise InvalidSpace.at("/hint", f"{shown(self.hint)} is not one of: {', '.join(HINTS)}")
        object.__setattr__(self, "layers", MappingProxyType(dict(self.layers)))
        object.__setattr__(self, "ratios", _checked_ratios(self.ratios))
        _check_not_empty(self.bits, "/bits")
        _check_not_empty(self.recovery, "/recovery")
        criteria = get_args(Criterion)
        if self.criterion not in criteria:
            detail = f"{shown(self.criterion)} is not one of: {', '.join(criteria)}"
            raise InvalidSpace.at("/prune/criterion", detail)
        _check_granularities(self.granularities)
        choices: tuple[tuple[object, ...], ...] = (self.students, self.ratios, self.bits, self.recovery)
        if not self.layers and all(len(set(offered)) == 1 for offered in choices):
            raise InvalidSpace.at(
                "", "describes a single policy, so there is nothing to search; widen a list"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        return SpaceRequest.from_dict, (self.to_dict(),)

    def glob_for(self, layer: str) -> str | None:
        """The first exception's glob that matches a layer's module path."""
        return next((glob for glob in self.layers if fnmatchcase(layer, glob)), None)

    def rule_for(self, layer: str) -> LayerRule:
        """The first exception whose glob matches a layer's module path, or an empty rule."""
        glob = self.glob_for(layer)
        return LayerRule() if glob is None else self.layers[glob]

    def check(self, capabilities: Capabilities, target: str) -> None:
        """Refuses bit-widths that the target runs for no operator, and zeros that it computes.

        The default bit-widths are never refused: nobody asked for them, and `SearchSpace` leaves out what the
        target does not run.

        Raises:
            InvalidSpace: with a pointer into the job, ``/space/…``, to each such choice.
        """
        groups = [] if self.bits == DEFAULT_BITS else [("/space/bits", self.bits)]
        groups += [(f"{rule_pointer(glob)}/bits", rule.bits or ()) for glob, rule in self.layers.items()]
        runs = capabilities.describe()
        faults = [
            Fault(f"{where}/{index}", f"target {target!r} cannot run {bits}; it runs {runs}")
            for where, options in groups
            for index, bits in enumerate(options)
            if not bits.is_float and not capabilities.runs_somewhere(*bits.formats)
        ]
        faults += [
            Fault(f"/space/prune/granularity/{index}", _why_no_zeros(granularity, capabilities, target))
            for index, granularity in enumerate(self.granularities)
            if (granularity == "weight" or n_of_m(granularity)) and granularity not in capabilities.sparsity
        ]
        if faults:
            raise InvalidSpace(faults)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "students": [None if student is None else student.to_dict() for student in self.students],
            "prune": {
                "ratios": list(self.ratios),
                "granularity": list(self.granularities),
                "criterion": self.criterion,
            },
            "bits": [bits.to_dict() for bits in self.bits],
            "recovery": [None if item is None else item.to_dict() for item in self.recovery],
            "layers": {glob: rule.to_dict() for glob, rule in self.layers.items()},
            "hint": self.hint,
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
        default: tuple[Any, ...] = (DEFAULT_RATIOS, "l1", DEFAULT_GRANULARITIES)
        ratios, criterion, granularities = read.optional("prune", _read_prune) or default
        return read.build(
            cls,
            students=read.items("students", _nullable(Student.from_dict), ()),
            ratios=ratios,
            criterion=criterion,
            granularities=granularities,
            bits=read.items("bits", Bits.from_dict, DEFAULT_BITS),
            recovery=read.items("recovery", _nullable(Recovery.from_dict), DEFAULT_RECOVERY),
            layers=read.mapping("layers", LayerRule.from_dict),
            hint=read.text_or_none("hint"),
        )


def rule_pointer(glob: str) -> str:
    """The JSON pointer, in a job, of the exception for a glob."""
    return f"/space/layers/{escape(glob)}"


def _why_no_zeros(granularity: str, capabilities: Capabilities, target: str) -> str:
    skips = ", ".join(capabilities.sparsity) or "no zeros at all"
    return (
        f"target {target!r} computes zeros of {granularity!r} like any weight, so there is nothing to search "
        f"for; it skips {skips}"
    )


def _check_not_empty(choices: Sequence[Any], pointer: str) -> None:
    if not choices:
        raise InvalidSpace.at(pointer, "is empty; leave it out for the default, or name one choice")


def _checked_ratios(ratios: Sequence[float]) -> tuple[float, ...]:
    _check_not_empty(ratios, "/prune/ratios")
    for index, ratio in enumerate(ratios):
        if not 0 <= ratio < 1:
            detail = f"must be at least 0 and below 1, not {shown(ratio)}"
            raise InvalidSpace.at(f"/prune/ratios/{index}", detail)
    return tuple(Prune(ratio).ratio for ratio in ratios)


def _nullable(read: Callable[[Any, str], T]) -> Callable[[Any, str], T | None]:
    """Reads null as ``None``, and what is wrong in a policy's part as wrong in a space."""

    def read_item(item: Any, pointer: str) -> T | None:
        try:
            return None if item is None else read(item, pointer)
        except InvalidPolicy as error:
            raise InvalidSpace(error.faults) from None

    return read_item


def _is_pattern(granularity: str) -> bool:
    pattern = n_of_m(granularity)
    return pattern is not None and pattern[0] < pattern[1]


def _check_granularities(granularities: Sequence[str]) -> None:
    _check_not_empty(granularities, "/prune/granularity")
    for index, granularity in enumerate(granularities):
        if granularity not in SEARCHED_GRANULARITIES[:-1] and not _is_pattern(granularity):
            choices = ", ".join(SEARCHED_GRANULARITIES)
            detail = f"{shown(granularity)} cannot be searched; choose of: {choices}"
            raise InvalidSpace.at(f"/prune/granularity/{index}", detail)


def _read_prune(document: Any, pointer: str) -> tuple[tuple[float, ...], Any, tuple[str, ...]]:
    read = Reader(document, pointer, InvalidSpace)
    ratios = read.numbers("ratios", DEFAULT_RATIOS)
    granularities = read.texts("granularity", DEFAULT_GRANULARITIES)
    criterion = read.text("criterion", "l1")
    read.done()
    return ratios, criterion, granularities


def _read_rule_ratios(document: Any, pointer: str) -> tuple[float, ...]:
    # Criterion and granularities hold for the whole space, so an exception has none; it must name its ratios.
    read = Reader(document, pointer, InvalidSpace)
    ratios = read.numbers("ratios")
    read.done()
    return ratios
