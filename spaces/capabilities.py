"""What a hardware target can run, as far as it bounds a search space. Says nothing about how fast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spaces.errors import InvalidTarget
from spaces.formats import FLOAT_BITS, ActivationFormat, WeightFormat, check_bits, check_mode
from spaces.reading import Reader, shown

if TYPE_CHECKING:
    from spaces.policy import LayerPolicy

DEVICES: Final = ("cpu", "phone", "gpu", "npu", "mcu")
"""General CPUs, phones with their accelerators, GPUs, other accelerators, microcontrollers."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kind of low-precision arithmetic that the target executes for an operator.

    Attributes:
        op: operator of `LayerInfo.op`, or ``*`` for all.
        weight_bits: bits of the weights.
        activation_bits: bits of the activations.
        mode: ``static``, ``dynamic`` or ``none`` (weight-only).
        executed_as: the name under which an evaluator reports it, such as ``int8``.
    """

    op: str
    weight_bits: int
    activation_bits: int
    mode: str
    executed_as: str

    def __post_init__(self) -> None:
        check_bits(self.weight_bits, "/weight_bits", InvalidTarget)
        check_bits(self.activation_bits, "/activation_bits", InvalidTarget)
        check_mode(self.mode, self.activation_bits, "/mode", InvalidTarget)

    def runs(self, op: str, weight: WeightFormat, activation: ActivationFormat) -> bool:
        """The kernel executes this combination."""
        same_bits = (self.weight_bits, self.activation_bits) == (weight.bits, activation.bits)
        return self.op in {op, "*"} and same_bits and self.mode == activation.mode

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "op": self.op,
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
            "mode": self.mode,
            "executed_as": self.executed_as,
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Kernel:
        """Reads the JSON form; raises `InvalidTarget` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidTarget)
        return read.build(
            cls,
            read.text("op"),
            read.whole("weight_bits"),
            read.whole("activation_bits"),
            read.text("mode"),
            read.text("executed_as"),
        )


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The bounds that a target sets to a search.

    Attributes:
        kernels: low-precision kernels; 32-bit floating point always runs and is not listed.
        channel_multiple: channels that remain after pruning are rounded up to a multiple of it.
        sparsity: patterns of zero weights that the target does not compute: ``n:m``, or ``weight`` for zeros
            anywhere.
        device: what the target is, of `DEVICES`; it decides which default choices make sense.
    """

    kernels: tuple[Kernel, ...]
    channel_multiple: int = 1
    sparsity: tuple[str, ...] = ()
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.channel_multiple < 1:
            detail = f"must be at least 1, not {self.channel_multiple}"
            raise InvalidTarget.at("/channel_multiple", detail)
        if self.device not in DEVICES:
            detail = f"{shown(self.device)} is not one of: {', '.join(DEVICES)}"
            raise InvalidTarget.at("/device", detail)

    @property
    def has_low_precision(self) -> bool:
        """Some kernel computes in fewer bits than 32; weights alone in fewer bits are no such kernel."""
        return any(kernel.activation_bits < FLOAT_BITS for kernel in self.kernels)

    def kernel_for(self, op: str, weight: WeightFormat, activation: ActivationFormat) -> Kernel | None:
        """The kernel that executes a combination, or ``None``."""
        return next((kernel for kernel in self.kernels if kernel.runs(op, weight, activation)), None)

    def runs_somewhere(self, weight: WeightFormat, activation: ActivationFormat) -> bool:
        """Some operator has a kernel for a combination."""
        return any(kernel.runs(kernel.op, weight, activation) for kernel in self.kernels)

    def executed_as(self, op: str, layer: LayerPolicy) -> str | None:
        """What a layer must be executed as for its policy to be honoured.

        Returns:
            ``float32`` for a layer that is not quantized, a kernel's name, or ``None`` where the target has
            no kernel for what the policy asks.
        """
        if not layer.is_quantized:
            return "float32"
        weight = layer.weight or WeightFormat(FLOAT_BITS)
        activation = layer.activation or ActivationFormat(FLOAT_BITS)
        kernel = self.kernel_for(op, weight, activation)
        return None if kernel is None else kernel.executed_as

    def describe(self) -> str:
        """The kernels in words, for error messages."""
        if not self.kernels:
            return "32-bit floating point only"
        return ", ".join(
            f"{kernel.weight_bits}-bit weights with {kernel.activation_bits}-bit {kernel.mode} activations"
            f" ({'any operator' if kernel.op == '*' else kernel.op})"
            for kernel in self.kernels
        )
