"""Which formats of a search this host can only simulate, because another machine is modelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluators.targets.catalogue import SHIPPED, read_target
from evaluators.targets.hardware import LAYERS
from spaces import offered_bits

if TYPE_CHECKING:
    from evaluators.targets.target import Target
    from spaces import SpaceRequest


def offers_simulated(space: SpaceRequest, target: Target) -> bool:
    """A search offers formats for which the target has a kernel and this host has none.

    Args:
        space: what is asked for.
        target: of the search; a measured one simulates nothing.
    """
    if not target.is_modelled:
        return False
    here = read_target(SHIPPED / "local-cpu.yaml").capabilities
    there = target.capabilities
    return any(
        there.kernel_for(op, *bits.formats) is not None and here.kernel_for(op, *bits.formats) is None
        for bits in offered_bits(space, there)
        if not bits.is_float
        for op in LAYERS
    )
