"""Latency and energy of an artifact on a target that is known by its figures alone.

Each kernel takes the longer of computing and moving, and its overhead (Williams et al. 2009):
``max(operations / (peak * efficiency), bytes / bandwidth) + overhead``, and the kernels of a call add up.
Channels are rounded up to what the target's instructions take at once; what only moves data has an efficiency
of the bandwidth. Zeros that keep a pattern of the target raise the peak.

On a calibrated target, computing includes what a product moves through the caches, where its blocks are
computed one after another (Goto and van de Geijn 2008): its inputs again for every `PANEL` outputs, its
weights, and its outputs. That is little beside the work of long rows, and most of the time of short ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from evaluators.targets.hardware import CALL, by_kernel, compute_dtype
from spaces import InvalidTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaluators.modelled.graph_costs import KernelCost
    from evaluators.targets import Target

DOT_LENGTH: Final = 4
"""Products that an 8-bit dot-product instruction sums (x86 VNNI, Arm SDOT, NVIDIA DP4A): inputs are rounded
to it."""

PANEL: Final = 64
"""Outputs that a product computes while it has an input at hand: four registers of 16 floats in MLAS."""

OPS_PER_MAC: Final = 2
US: Final = 1e6


@dataclass(frozen=True, slots=True)
class KernelTime:
    """What a kernel takes.

    Attributes:
        name: the layer's module path, or the node's own name.
        op: of `evaluators.targets.hardware.OPERATORS`.
        dtype: what is multiplied.
        compute_us: microseconds of computing at the peak rate with efficiency 1; 0 of what only moves data.
        memory_us: microseconds of moving at the full bandwidth.
        traffic: numbers that a product reads as inputs and as weights, and writes.
    """

    name: str
    op: str
    dtype: str
    compute_us: float
    memory_us: float
    traffic: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Roofline:
    """A target's figures, put to use.

    Args:
        target: with figures; its calibration, where there is one, takes the place of what is declared.

    Raises:
        InvalidTarget: the target has no figures, as those that are measured need none.
    """

    def __init__(self, target: Target) -> None:
        if target.memory is None or not target.peak_ops:
            raise InvalidTarget.at(
                "/peak_ops", f"target {target.name!r} has no figures to compute a latency from"
            )
        self._target, self._memory = target, target.memory
        fitted = target.calibration
        self._efficiency = target.efficiency if fitted is None else fitted.efficiency
        self._overhead = target.overhead_us if fitted is None else fitted.overhead_us
        self._traffic_ns = {} if fitted is None else fitted.traffic_ns

    @property
    def patterns(self) -> tuple[str, ...]:
        """Of zeros that the target does not compute."""
        return tuple(dict.fromkeys(item.pattern for item in self._target.sparsity))

    def latency_ms(self, costs: Sequence[KernelCost]) -> float:
        """Milliseconds of a call."""
        return sum(self.kernel_us(time) for time in self.times(costs)) / 1e3 + self.call_us / 1e3

    @property
    def call_us(self) -> float:
        """Microseconds of a call, however small the model."""
        return self._overhead.get(CALL, 0.0)

    def kernel_us(self, time: KernelTime) -> float:
        """Microseconds of one kernel."""
        efficiency = by_kernel(self._efficiency, time.op, time.dtype)
        overhead = by_kernel(self._overhead, time.op, time.dtype)
        if time.compute_us == 0:
            return time.memory_us / efficiency + overhead
        moving = self._traffic_ns.get(f"{time.op}/{time.dtype}", (0.0, 0.0, 0.0))
        moving_us = sum(ns * count for ns, count in zip(moving, time.traffic, strict=True)) / 1e3
        return max(time.compute_us / efficiency + moving_us, time.memory_us) + overhead

    def times(self, costs: Sequence[KernelCost]) -> list[KernelTime]:
        """The ideal times of kernels, before efficiency and overhead."""
        working_set = sum(cost.weight_bytes for cost in costs)
        working_set += max((cost.moved_bytes for cost in costs), default=0.0)
        bandwidth = self._memory.bandwidth(working_set)
        return [self._time(cost, bandwidth) for cost in costs]

    def energy_mj(self, costs: Sequence[KernelCost]) -> float | None:
        """Millijoules of a call, from the declared picojoules; ``None`` where the target declares none."""
        energy = self._target.energy
        if energy is None:
            return None
        picojoules = sum(
            cost.macs * energy.mac_pj[self._dtype(cost)]
            + (cost.weight_bytes + cost.moved_bytes) * energy.byte_pj
            for cost in costs
        )
        return picojoules * 1e-9

    def _dtype(self, cost: KernelCost) -> str:
        return compute_dtype(cost.weight_bits, cost.activation_bits, self._target.peak_ops)

    def _time(self, cost: KernelCost, bandwidth: float) -> KernelTime:
        dtype = self._dtype(cost)
        moved = cost.weight_bytes + cost.moved_bytes
        peak = self._target.peak_ops[dtype] * self._speedup(cost, dtype)
        outputs, inputs = self._rounded(cost, dtype)
        compute_us = OPS_PER_MAC * cost.macs * outputs * inputs / peak * US
        traffic = (0.0, 0.0, 0.0)
        if cost.rows:
            wide, inner = cost.channels[0] * outputs, cost.macs / cost.rows / cost.channels[0] * inputs
            panels = 0 if cost.op == "depthwise-conv" else math.ceil(cost.channels[0] / PANEL)
            traffic = cost.rows * inner * panels, wide * inner, cost.rows * wide
        return KernelTime(cost.name, cost.op, dtype, compute_us, moved / bandwidth * US, traffic)

    def _rounded(self, cost: KernelCost, dtype: str) -> tuple[float, float]:
        """By how much outputs and inputs grow when they are rounded up to what is computed at once."""
        outputs, inputs = cost.channels
        if not outputs:
            return 1.0, 1.0
        block = self._target.channel_block.get(dtype)
        wide = _up(outputs, block or self._target.capabilities.channel_multiple) / outputs
        if cost.op == "depthwise-conv":
            return wide, 1.0
        if cost.activation_bits < 16:  # noqa: PLR2004
            return wide, _up(inputs, DOT_LENGTH) / inputs
        # layouts in blocks have whole blocks of inputs as well, but for the single channel of a first layer
        return wide, _up(inputs, block) / inputs if block and inputs > 1 else 1.0

    def _speedup(self, cost: KernelCost, dtype: str) -> float:
        best = 1.0
        op = "conv" if cost.op == "pointwise-conv" else cost.op
        for item in self._target.sparsity:
            if op in item.ops and dtype in item.dtypes:
                if item.pattern in cost.patterns:
                    best = max(best, item.speedup)
                elif item.pattern == "weight" and cost.density > 0:
                    best = max(best, min(item.speedup, 1 / cost.density))
        return best


def _up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple
