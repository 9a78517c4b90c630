"""What a job is offered where it asks for nothing: bounded by the target, narrowed by a hint, with reasons.

The rules are those of the field. General CPUs and phones have integer kernels before anything else (Jacob et
al. 2018). Without arithmetic of low precision only a smaller model is faster. A GPU's dense kernels gain from
whole channels, heads and blocks, and from zeros only in the pattern that they skip (Mishra et al. 2021).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from spaces.policy import Student
from spaces.prune import n_of_m
from spaces.request import (
    DEFAULT_BITS,
    DEFAULT_GRANULARITIES,
    DEFAULT_RATIOS,
    DEFAULT_STUDENTS,
    ENCODER_BITS,
    Bits,
    SpaceRequest,
)

if TYPE_CHECKING:
    from spaces.capabilities import Capabilities

SMALL_STUDENTS: Final = (
    *DEFAULT_STUDENTS,
    Student(width=0.75),
    Student(width=0.5),
    Student(depth=0.5, width=0.5),
)
"""Offered where arithmetic of low precision is missing."""

MILD_RATIOS: Final = (0.0, 0.25)
HALF: Final = Bits(16, 16)
PORTABLE_BITS: Final = (Bits(), Bits(8, 8, "static"))


@dataclass(frozen=True, slots=True)
class Defaults:
    """Choices for what a request leaves open.

    Attributes:
        students: models to start from, as far as the model has them.
        ratios: prune ratios.
        granularities: what ratios remove.
        bits: of models that are mostly convolutions.
        encoder_bits: of the others.
        reasons: for a person, one sentence a rule that applied.
    """

    students: tuple[Student | None, ...] = DEFAULT_STUDENTS
    ratios: tuple[float, ...] = DEFAULT_RATIOS
    granularities: tuple[str, ...] = DEFAULT_GRANULARITIES
    bits: tuple[Bits, ...] = DEFAULT_BITS
    encoder_bits: tuple[Bits, ...] = ENCODER_BITS
    reasons: tuple[str, ...] = ()

    def because(self, reason: str, **changes: object) -> Defaults:
        """The same with changes and their reason."""
        return replace(self, reasons=(*self.reasons, reason), **changes)  # type: ignore[arg-type]


def defaults_for(capabilities: Capabilities, hint: str | None = None) -> Defaults:
    """The default choices on a target.

    Args:
        capabilities: of the target.
        hint: of `spaces.request.HINTS`, or ``None``.
    """
    found = _for_target(capabilities)
    if hint == "accuracy-critical":
        found = found.because(
            "accuracy-critical: the reference alone and mild ratios; the rest rarely stays within a point",
            students=(None,),
            ratios=MILD_RATIOS,
        )
    elif hint == "real-time":
        found = found.because(
            "real-time: no format that only stores weights in fewer bits, which saves space and no time",
            bits=_computing(found.bits),
            encoder_bits=_computing(found.encoder_bits),
        )
        if "layer" not in found.granularities:
            found = found.because(
                "real-time: whole blocks may go, since each kernel that is gone saves its overhead too",
                granularities=(*found.granularities, "layer"),
            )
    elif hint == "cross-architecture":
        found = found.because(
            "cross-architecture: channels, heads and static int8 alone, which every runtime executes",
            granularities=DEFAULT_GRANULARITIES,
            bits=PORTABLE_BITS,
            encoder_bits=PORTABLE_BITS,
        )
    return found


def with_defaults(request: SpaceRequest, capabilities: Capabilities) -> SpaceRequest:
    """A request whose open ratios and granularities are those of the target; bits depend on the model too."""
    found = defaults_for(capabilities, request.hint)
    ratios = found.ratios if request.ratios == DEFAULT_RATIOS else request.ratios
    granularities = (
        found.granularities if request.granularities == DEFAULT_GRANULARITIES else request.granularities
    )
    return replace(request, ratios=ratios, granularities=granularities)


def offered_bits(request: SpaceRequest, capabilities: Capabilities) -> frozenset[Bits]:
    """All bit-widths that some layer of some model may be offered."""
    found = set(request.bits)
    if request.bits == DEFAULT_BITS:
        defaults = defaults_for(capabilities, request.hint)
        found = {*defaults.bits, *defaults.encoder_bits}
    return frozenset(found.union(*(rule.bits or () for rule in request.layers.values())))


def _for_target(capabilities: Capabilities) -> Defaults:
    found = Defaults()
    if not capabilities.has_low_precision:
        found = found.because(
            "no kernel computes in fewer than 32 bits, so only a smaller model is faster: more students",
            students=SMALL_STUDENTS,
        )
    elif capabilities.device in {"cpu", "phone", "mcu", "npu"}:
        found = found.because("int8 first: its kernels are what this kind of target gains most from")
    if capabilities.device == "gpu":
        found = found.because(
            "a GPU gains latency from whole channels, heads and blocks: dense kernels compute single zeros",
            granularities=(*DEFAULT_GRANULARITIES, "layer"),
        )
    if capabilities.runs_somewhere(*HALF.formats):
        found = found.because(
            "float16 is computed here, and loses next to nothing",
            bits=(*found.bits, HALF),
            encoder_bits=(*found.encoder_bits, HALF),
        )
    patterns = tuple(name for name in capabilities.sparsity if n_of_m(name))
    if patterns:
        found = found.because(
            f"zeros in the pattern {', '.join(patterns)} are not computed here",
            granularities=(*found.granularities, *patterns),
        )
    return found


def _computing(bits: tuple[Bits, ...]) -> tuple[Bits, ...]:
    """Without those that store weights in fewer bits than they are computed in."""
    return tuple(item for item in bits if item.is_float or item.weight >= item.activation)
