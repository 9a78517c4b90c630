"""The figures of a target's hardware, as values that check themselves: rates, memory, energy, sparsity."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from spaces import FLOAT_BITS, MOST_INTEGER_BITS, InvalidTarget, Reader, escape, n_of_m, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LAYERS: Final = ("conv", "depthwise-conv", "grouped-conv", "linear", "embedding", "lstm", "gru")
"""Operators of `spaces.LayerInfo.op`."""

OPERATORS: Final = (*LAYERS, "pointwise-conv", "matmul", "quantize", "other")
"""Kinds of kernels in a graph: layers, convolutions of one point, products of two activations, changes
between real numbers and integers, and all the rest."""

_KIN: Final = {"pointwise-conv": "conv", "matmul": "linear", "quantize": "other"}
"""Whose figure holds for an operator that has none of its own."""

DTYPES: Final = ("float32", "float16", "bfloat16", "int8", "int4")
"""What a kernel multiplies."""

ANY: Final = "*"
CALL: Final = "call"
"""In ``overhead_us``: once for each call of the whole model."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A target's memory.

    Attributes:
        bandwidth_bytes_s: between the processor and the memory that holds weights and activations.
        size_bytes: of that memory, or ``None`` where it is not known.
        cache_bytes: of the last cache; a model whose weights and activations fit streams from it.
        cache_bandwidth_bytes_s: of that cache.
    """

    bandwidth_bytes_s: float
    size_bytes: float | None = None
    cache_bytes: float | None = None
    cache_bandwidth_bytes_s: float | None = None

    def bandwidth(self, working_set_bytes: float) -> float:
        """Bytes a second for a model that touches that many bytes in a call."""
        if self.cache_bytes is not None and self.cache_bandwidth_bytes_s is not None:
            fits = working_set_bytes <= self.cache_bytes
            return self.cache_bandwidth_bytes_s if fits else self.bandwidth_bytes_s
        return self.bandwidth_bytes_s

    def to_dict(self) -> dict[str, float]:
        """The form of the YAML file, without what is not known."""
        names = ("bandwidth_bytes_s", "size_bytes", "cache_bytes", "cache_bandwidth_bytes_s")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Memory:
        """Reads the form of the YAML file; `InvalidTarget` names the field."""
        read = Reader(document, pointer, InvalidTarget)
        bandwidth = positive(read.required("bandwidth_bytes_s"), read.at("bandwidth_bytes_s"))
        optional = ("size_bytes", "cache_bytes", "cache_bandwidth_bytes_s")
        found = {name: read.optional(name, positive) for name in optional}
        read.done()
        if (found["cache_bytes"] is None) != (found["cache_bandwidth_bytes_s"] is None):
            raise InvalidTarget.at(pointer, "needs both cache_bytes and cache_bandwidth_bytes_s, or neither")
        return cls(bandwidth, **found)


@dataclass(frozen=True, slots=True)
class Sparsity:
    """Zero weights that the target does not compute.

    Attributes:
        pattern: ``n:m``, or ``weight`` for zeros anywhere.
        ops: operators whose kernels do so, of `OPERATORS`.
        dtypes: what these kernels multiply, of `DTYPES`.
        speedup: of the peak rate over the dense one.
    """

    pattern: str
    ops: tuple[str, ...]
    dtypes: tuple[str, ...]
    speedup: float

    def __post_init__(self) -> None:
        pattern = n_of_m(self.pattern)
        if self.pattern != "weight" and (pattern is None or pattern[0] >= pattern[1]):
            raise InvalidTarget.at("/pattern", f"{self.pattern!r} is neither n:m with n below m nor 'weight'")
        if not self.speedup >= 1:
            raise InvalidTarget.at("/speedup", f"must be at least 1, not {self.speedup!r}")

    def to_dict(self) -> dict[str, Any]:
        """The form of the YAML file."""
        return {
            "pattern": self.pattern,
            "ops": list(self.ops),
            "dtypes": list(self.dtypes),
            "speedup": self.speedup,
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Sparsity:
        """Reads the form of the YAML file; `InvalidTarget` names the field."""
        read = Reader(document, pointer, InvalidTarget)
        pattern = read.text("pattern")
        ops = read.items("ops", lambda item, at: among(item, at, OPERATORS))
        dtypes = read.items("dtypes", lambda item, at: among(item, at, DTYPES))
        return read.build(cls, pattern, ops, dtypes, read.number("speedup"))


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of the two things that cost most (Horowitz 2014).

    Attributes:
        mac_pj: picojoules of a multiply-accumulate, by what is multiplied.
        byte_pj: picojoules of a byte to or from the memory that holds weights and activations.
    """

    mac_pj: Mapping[str, float] = field(default_factory=dict)
    byte_pj: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The form of the YAML file."""
        return {"mac": dict(self.mac_pj), "byte": self.byte_pj}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Energy:
        """Reads the form of the YAML file; `InvalidTarget` names the field."""
        read = Reader(document, pointer, InvalidTarget)
        mac = figures(read.required("mac"), read.at("mac"), DTYPES)
        byte = positive(read.required("byte"), read.at("byte"))
        read.done()
        return cls(mac, byte)


def positive(value: Any, pointer: str) -> float:
    """A finite number above 0; `InvalidTarget` otherwise."""
    found = not_negative(value, pointer)
    if found == 0:
        raise InvalidTarget.at(pointer, "must be above 0, not 0")
    return found


def not_negative(value: Any, pointer: str) -> float:
    """A finite number of at least 0; `InvalidTarget` otherwise."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise InvalidTarget.at(pointer, f"must be a finite number, not {shown(value)}")
    if value < 0:
        raise InvalidTarget.at(pointer, f"must not be negative, and is {value:g}")
    return float(value)


def among(value: Any, pointer: str, choices: tuple[str, ...]) -> str:
    """One of some names; `InvalidTarget` lists them."""
    if value not in choices:
        raise InvalidTarget.at(pointer, f"{shown(value)} is not one of: {', '.join(choices)}")
    return str(value)


def figures(
    document: Any,
    pointer: str,
    names: tuple[str, ...],
    *,
    read_value: Callable[[Any, str], float] = positive,
    high: float | None = None,
) -> dict[str, float]:
    """Numbers by name.

    Args:
        document: an object.
        pointer: where it stands.
        names: that a key may have.
        read_value: of one number.
        high: the greatest number that makes sense, or ``None``.

    Raises:
        InvalidTarget: a name is unknown, or a number is out of its range.
    """
    read = Reader(document, pointer, InvalidTarget)
    found = read.rest(read_value)
    for name, value in found.items():
        at = f"{pointer}/{escape(name)}"
        among(name, at, names)
        if high is not None and value > high:
            raise InvalidTarget.at(at, f"must be at most {high:g}, not {value:g}")
    return found


def kernel_names(*extra: str) -> tuple[str, ...]:
    """Keys of a figure by kernel: an operator, an operator with what it multiplies, or ``*`` for the rest."""
    pairs = [f"{op}/{dtype}" for op in OPERATORS for dtype in DTYPES]
    return (ANY, *extra, *OPERATORS, *pairs)


def by_kernel(table: Mapping[str, float], op: str, dtype: str) -> float:
    """The most specific figure of a table: operator and what it multiplies, operator, its kin, ``*``."""
    kin = _KIN.get(op, op)
    return next(table[key] for key in (f"{op}/{dtype}", op, f"{kin}/{dtype}", kin, ANY) if key in table)


def compute_dtype(weight_bits: int, activation_bits: int, peaks: Mapping[str, float]) -> str:
    """What a target multiplies for a layer's bits; weights of fewer bits come up to the activations'.

    Args:
        weight_bits: of `spaces.BITS`.
        activation_bits: of `spaces.BITS`.
        peaks: rates by what is multiplied.

    Returns:
        Of `DTYPES`; the target may have no rate for it.
    """
    if max(weight_bits, activation_bits) <= 4 and "int4" in peaks:  # noqa: PLR2004
        return "int4"
    if max(weight_bits, activation_bits) <= MOST_INTEGER_BITS:
        return "int8"
    if activation_bits < FLOAT_BITS:
        return "bfloat16" if "bfloat16" in peaks and "float16" not in peaks else "float16"
    return "float32"
