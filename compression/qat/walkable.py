"""Which models a `GraphModule` can compute at all, told before anything is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.quantization.plan import RECURRENT, has_static_layers
from spaces import Fault, InvalidPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spaces import Policy


def check_walkable(policy: Policy, ops: Mapping[str, str]) -> None:
    """Refuses what walks the artifact's graph on a model with recurrent layers, which the walk does not know.

    Args:
        policy: with quantized layers; its recovery is looked at.
        ops: operator by module path (`spaces.LayerInfo.op`) of the model's layers.

    Raises:
        InvalidPolicy: with the pointer of every such wish, and the layers.
    """
    recurrent = [name for name, op in ops.items() if op in RECURRENT]
    named = ", ".join(map(repr, recurrent))
    detail = f"computes the graph in torch, which is not written for LSTM and GRU ({named}); set it to false"
    faults = tuple(Fault(f"/recovery/{wish}", detail) for wish in _wishes(policy))
    if recurrent and faults:
        raise InvalidPolicy(faults)


def _wishes(policy: Policy) -> Iterator[str]:
    recovery = policy.recovery
    if recovery is None:
        return
    if recovery.qat and recovery.epochs > 0 and has_static_layers(policy):
        yield "qat"
    if recovery.bias_correction:
        yield "bias_correction"
