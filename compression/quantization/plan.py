"""Which arithmetic each layer's formats become, and which formats a layer cannot take. Edits no graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from spaces import (
    FLOAT_BITS,
    MOST_INTEGER_BITS,
    ActivationFormat,
    Fault,
    InvalidPolicy,
    LayerPolicy,
    Policy,
    WeightFormat,
    layer_pointer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Arithmetic = Literal["static", "dynamic", "blocks", "operands"]
"""``static``: integer kernels between QuantizeLinear and DequantizeLinear; ``dynamic``: integer kernels,
ranges at run time; ``blocks``: MatMulNBits; ``operands``: a float kernel whose operands are rounded or stored
as integers."""

RECURRENT: Final = frozenset({"lstm", "gru"})
_CONVOLUTIONS: Final = frozenset({"conv", "depthwise-conv", "grouped-conv"})
_BLOCK_UNIT: Final = 16


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """How one layer is quantized.

    Attributes:
        layer: module path.
        op: operator of `spaces.LayerInfo.op`.
        weight: 32 bits where the policy leaves the weights alone.
        activation: 32 bits where it leaves the activations alone.
    """

    layer: str
    op: str
    weight: WeightFormat
    activation: ActivationFormat

    @classmethod
    def of(cls, layer: str, op: str, policy: LayerPolicy) -> LayerPlan:
        """The plan of a layer's policy."""
        weight = policy.weight or WeightFormat(FLOAT_BITS)
        return cls(layer, op, weight, policy.activation or ActivationFormat(FLOAT_BITS))

    @property
    def has_plain_weight(self) -> bool:
        """Symmetric integers with a scale by tensor or channel, as integer kernels take them."""
        weight = self.weight
        is_integer = weight.bits <= MOST_INTEGER_BITS
        return is_integer and weight.symmetric and weight.granularity != "group"

    @property
    def arithmetic(self) -> Arithmetic:
        """What executes the layer."""
        eight = self.activation.bits == MOST_INTEGER_BITS and self.has_plain_weight
        if eight and self.op in _CONVOLUTIONS | {"linear"}:
            return "static" if self.activation.mode == "static" else "dynamic"
        if eight and self.op == "lstm":
            return "dynamic"
        return "blocks" if self._fits_blocks else "operands"

    @property
    def simulated(self) -> bool:
        """The file computes the format's numbers, yet the format's own arithmetic does not run."""
        if self.arithmetic in {"static", "dynamic"}:
            return self.weight.bits < MOST_INTEGER_BITS
        if self.activation.bits < FLOAT_BITS:
            return True
        if self.op == "embedding":
            return self.weight.bits not in {MOST_INTEGER_BITS, 16}
        return self.arithmetic != "blocks" and self.weight.bits != MOST_INTEGER_BITS

    @property
    def _fits_blocks(self) -> bool:
        """MatMulNBits takes blocks of powers of two from 16 on; longer groups repeat their scale."""
        weight, unit = self.weight, self.weight.group_size or _BLOCK_UNIT
        is_alone = self.activation.bits == FLOAT_BITS
        return self.op == "linear" and weight.bits == 4 and is_alone and unit % _BLOCK_UNIT == 0  # noqa: PLR2004


def has_static_layers(policy: Policy) -> bool:
    """Some layer's activations have calibrated ranges."""
    forms = (layer.activation for layer in policy.layers.values())
    return any(form is not None and form.mode == "static" for form in forms)


def plan_layers(policy: Policy, ops: Mapping[str, str]) -> dict[str, LayerPlan]:
    """The plans of a policy's quantized layers; others are absent.

    Args:
        policy: checked by `check_formats`.
        ops: operator by module path.
    """
    return {
        name: LayerPlan.of(name, ops[name], layer)
        for name, layer in policy.layers.items()
        if layer.is_quantized
    }


def check_formats(policy: Policy, ops: Mapping[str, str]) -> None:
    """Refuses formats that a layer cannot take, in whatever way it were executed.

    Args:
        policy: its quantized layers are looked at.
        ops: operator by module path (`spaces.LayerInfo.op`) of the model's layers.

    Raises:
        InvalidPolicy: with the pointer of every wrong part.
    """
    faults = []
    for name, layer in policy.layers.items():
        if not layer.is_quantized:
            continue
        if name not in ops:
            detail = f"the model has no layer {name!r} to quantize; it has {', '.join(ops)}"
            faults.append(Fault(layer_pointer(name), detail))
        else:
            plan = LayerPlan.of(name, ops[name], layer)
            faults += [Fault(layer_pointer(name, part), detail) for part, detail in _faults(plan)]
    if faults:
        raise InvalidPolicy(faults)


def _faults(plan: LayerPlan) -> Iterator[tuple[str, str]]:
    weight, activation, op = plan.weight, plan.activation, plan.op
    if op == "embedding":
        if activation.bits < FLOAT_BITS:
            yield "activation", "an embedding reads indices, not activations; leave them at 32 bits"
        if weight.granularity == "group":
            yield "weight/granularity", "an embedding takes a scale by tensor or by channel (row), not group"
    elif op == "gru" and activation.bits < FLOAT_BITS:
        yield "activation", "a GRU has no integer kernel; quantize its weights alone, activations at 32 bits"
    elif op == "lstm" and activation.bits < FLOAT_BITS:
        if (activation.bits, activation.mode) != (MOST_INTEGER_BITS, "dynamic"):
            yield "activation", "an LSTM takes 8-bit dynamic activations, or 32 bits"
        elif not plan.has_plain_weight:
            detail = (
                "an LSTM with dynamic activations takes symmetric weights of 2 to 8 bits by tensor or channel"
            )
            yield "weight", detail
