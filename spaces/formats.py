"""How numbers are stored and computed: bit-widths of weights and of activations. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from spaces.checks import assign, check, check_among
from spaces.errors import InvalidPolicy
from spaces.reading import Reader, shown

if TYPE_CHECKING:
    from spaces.errors import InvalidValue

WeightGranularity = Literal["tensor", "channel", "group"]
ActivationMode = Literal["none", "dynamic", "static"]
Calibration = Literal["minmax", "percentile", "entropy", "mse"]

BITS: Final = (2, 3, 4, 5, 6, 7, 8, 16, 32)
MOST_INTEGER_BITS: Final = 8
FLOAT_BITS: Final = 32


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
        check_among(self.granularity, WeightGranularity, "/granularity")
        if self.granularity == "group":
            check((self.group_size or 0) >= 1, "/group_size", "must be at least 1 with granularity 'group'")
        else:
            check(self.group_size is None, "/group_size", "goes with granularity 'group' only")
        group_size = None if self.group_size is None else int(self.group_size)
        assign(self, bits=int(self.bits), group_size=group_size, symmetric=bool(self.symmetric))

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
        calibration: how a static range is found on the calibration split: its least and greatest value, the
            99.99th percentile of magnitudes, the least relative entropy (Migacz 2017), or the least squared
            error; anything but ``minmax`` goes with ``static`` only.
    """

    bits: int
    mode: ActivationMode = "none"
    calibration: Calibration = "minmax"

    def __post_init__(self) -> None:
        check_bits(self.bits, "/bits")
        check_mode(self.mode, self.bits, "/mode")
        check_among(self.calibration, Calibration, "/calibration")
        is_apt = self.mode == "static" or self.calibration == "minmax"
        check(is_apt, "/calibration", f"{self.calibration!r} goes with mode 'static' only")
        assign(self, bits=int(self.bits))

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without a calibration that is the default."""
        form: dict[str, Any] = {"bits": self.bits, "mode": self.mode}
        return form if self.calibration == "minmax" else form | {"calibration": self.calibration}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> ActivationFormat:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        bits = read.whole("bits")
        mode: Any = read.text("mode", default_mode(bits))
        calibration: Any = read.text("calibration", "minmax")
        return read.build(cls, bits, mode, calibration)
