"""One point of the search space: what happens to each layer of a model. Pure values; applies nothing."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from spaces.canonical import digest_of
from spaces.errors import InvalidPolicy
from spaces.reading import Reader, escape, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spaces.errors import InvalidValue

SCHEMA: Final = "tauten.policy/1"

Criterion = Literal["l1", "l2", "gradient", "taylor", "bn_scale", "random"]
WeightGranularity = Literal["tensor", "channel", "group"]
ActivationMode = Literal["none", "dynamic", "static"]
Features = Literal["none", "hidden", "attention"]

BITS: Final = (2, 3, 4, 5, 6, 7, 8, 16, 32)
MOST_INTEGER_BITS: Final = 8
FLOAT_BITS: Final = 32

_NAMED_GRANULARITIES: Final = ("weight", "channel", "head", "layer")
_N_OF_M: Final = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)")


def _check(condition: bool, pointer: str, detail: str) -> None:
    if not condition:
        raise InvalidPolicy.at(pointer, detail)


def _among(value: str, choices: Any, pointer: str) -> None:
    names = get_args(choices)
    _check(value in names, pointer, f"{shown(value)} is not one of: {', '.join(names)}")


def _real(value: float) -> float:
    """The one form of a number: no integer, no negative zero, which are equal but have other digests."""
    return float(value) + 0.0


def _set(instance: object, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def check_granularity(granularity: str, pointer: str) -> None:
    """Refuses a pruning granularity that is neither named nor of the form ``n:m`` with ``n < m``."""
    match = _N_OF_M.fullmatch(granularity)
    if granularity in _NAMED_GRANULARITIES or (match and int(match[1]) < int(match[2])):
        return
    raise InvalidPolicy.at(pointer, f"{shown(granularity)} is not one of: weight, n:m, channel, head, layer")


def check_bits(bits: int, pointer: str, error: type[InvalidValue] = InvalidPolicy) -> None:
    """Refuses a bit-width that is not of `BITS`."""
    if bits not in BITS:
        raise error.at(pointer, f"must be one of {', '.join(map(str, BITS))}, not {shown(bits)}")


def check_mode(mode: str, bits: int, pointer: str, error: type[InvalidValue] = InvalidPolicy) -> None:
    """Refuses a mode of activations that is unknown or contradicts their bits: integers need a range."""
    modes = get_args(ActivationMode)
    if mode not in modes:
        raise error.at(pointer, f"{shown(mode)} is not one of: {', '.join(modes)}")
    if (bits <= MOST_INTEGER_BITS) == (mode == "none"):
        detail = f"{mode!r} contradicts {bits} bits; 8 or fewer need dynamic or static, more need none"
        raise error.at(pointer, detail)


def default_mode(bits: int) -> ActivationMode:
    """The mode of activations where a document names their bits alone."""
    return "static" if bits <= MOST_INTEGER_BITS else "none"


@dataclass(frozen=True, slots=True)
class Prune:
    """A share of a layer to remove.

    Attributes:
        ratio: share removed, ``0 <= ratio < 1``; channels are rounded by `spaces.kept_channels`.
        granularity: ``weight``, ``n:m`` such as ``2:4``, ``channel``, ``head`` or ``layer``.
        criterion: how the least important parts are found.
    """

    ratio: float
    granularity: str = "channel"
    criterion: Criterion = "l1"

    def __post_init__(self) -> None:
        _check(0 <= self.ratio < 1, "/ratio", f"must be at least 0 and below 1, not {shown(self.ratio)}")
        check_granularity(self.granularity, "/granularity")
        _among(self.criterion, Criterion, "/criterion")
        _set(self, ratio=_real(self.ratio))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"ratio": self.ratio, "granularity": self.granularity, "criterion": self.criterion}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Prune:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        criterion: Any = read.text("criterion", "l1")
        return read.build(cls, read.number("ratio"), read.text("granularity", "channel"), criterion)


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """How a layer's weights are stored.

    Attributes:
        bits: 2 to 8, 16 (float16) or 32 (float32: the layer stays as it is).
        granularity: what shares a scale: the tensor, each output channel, or groups of inputs.
        group_size: inputs in a group; only with ``granularity="group"``.
        symmetric: zero is the middle of the range.
    """

    bits: int
    granularity: WeightGranularity = "channel"
    group_size: int | None = None
    symmetric: bool = True

    def __post_init__(self) -> None:
        check_bits(self.bits, "/bits")
        _among(self.granularity, WeightGranularity, "/granularity")
        if self.granularity == "group":
            _check((self.group_size or 0) >= 1, "/group_size", "must be at least 1 with granularity 'group'")
        else:
            _check(self.group_size is None, "/group_size", "goes with granularity 'group' only")
        group_size = None if self.group_size is None else int(self.group_size)
        _set(self, bits=int(self.bits), group_size=group_size, symmetric=bool(self.symmetric))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        form: dict[str, Any] = {
            "bits": self.bits,
            "granularity": self.granularity,
            "symmetric": self.symmetric,
        }
        return form if self.group_size is None else form | {"group_size": self.group_size}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> WeightFormat:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        granularity: Any = read.text("granularity", "channel")
        return read.build(
            cls,
            read.whole("bits"),
            granularity,
            read.whole_or_none("group_size"),
            read.flag("symmetric", True),
        )


@dataclass(frozen=True, slots=True)
class ActivationFormat:
    """How a layer's input activations are computed.

    Attributes:
        bits: 2 to 8, 16 or 32.
        mode: ``none`` keeps them in floating point, ``dynamic`` finds ranges at run time, ``static`` by
            calibration.
    """

    bits: int
    mode: ActivationMode = "none"

    def __post_init__(self) -> None:
        check_bits(self.bits, "/bits")
        check_mode(self.mode, self.bits, "/mode")
        _set(self, bits=int(self.bits))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"bits": self.bits, "mode": self.mode}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> ActivationFormat:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        bits = read.whole("bits")
        mode: Any = read.text("mode", default_mode(bits))
        return read.build(cls, bits, mode)


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
        _check(bool(self.family), "/family", "must name a family, such as 'self'")
        _check(0 < self.depth <= 1, "/depth", f"must be above 0 and at most 1, not {shown(self.depth)}")
        _check(0 < self.width <= 1, "/width", f"must be above 0 and at most 1, not {shown(self.width)}")
        _set(self, depth=float(self.depth), width=float(self.width))

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


@dataclass(frozen=True, slots=True)
class Distill:
    """Learning from the reference's outputs (Hinton et al. 2015).

    Attributes:
        temperature: softens both distributions, above 0.
        alpha: weight of the soft loss; ``1 - alpha`` stays with the labels.
        features: inner states that are matched besides the outputs.
    """

    temperature: float = 4.0
    alpha: float = 0.7
    features: Features = "none"

    def __post_init__(self) -> None:
        is_soft = 0 < self.temperature < math.inf
        _check(is_soft, "/temperature", f"must be above 0 and finite, not {shown(self.temperature)}")
        _check(0 <= self.alpha <= 1, "/alpha", f"must be from 0 to 1, not {shown(self.alpha)}")
        _among(self.features, Features, "/features")
        _set(self, temperature=float(self.temperature), alpha=_real(self.alpha))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"temperature": self.temperature, "alpha": self.alpha, "features": self.features}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Distill:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        features: Any = read.text("features", "none")
        return read.build(cls, read.number("temperature", 4.0), read.number("alpha", 0.7), features)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Training after pruning.

    Attributes:
        epochs: passes over the train split, fractions allowed, at least 0.
        qat: quantization is simulated during training.
        distill: how the reference teaches; ``None`` trains on labels alone.
    """

    epochs: float = 1.0
    qat: bool = False
    distill: Distill | None = field(default_factory=Distill)

    def __post_init__(self) -> None:
        is_finite = 0 <= self.epochs < math.inf
        _check(is_finite, "/epochs", f"must be at least 0 and finite, not {shown(self.epochs)}")
        _set(self, epochs=_real(self.epochs), qat=bool(self.qat))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        distill = None if self.distill is None else self.distill.to_dict()
        return {"epochs": self.epochs, "qat": self.qat, "distill": distill}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Recovery:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        return read.build(
            cls,
            read.number("epochs", 1.0),
            read.flag("qat", False),
            read.optional("distill", Distill.from_dict),
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
            _check(bool(name), "/layers/", "a layer's name is empty")
        kept = {name: layer for name, layer in sorted(self.layers.items()) if not layer.is_empty}
        _set(self, layers=MappingProxyType(kept))

    def __hash__(self) -> int:
        return hash(self.digest)

    def __reduce__(self) -> tuple[Any, ...]:
        return Policy.from_dict, (self.to_dict(),)

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of the canonical JSON; it names the policy everywhere."""
        return digest_of(self.to_dict())

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
