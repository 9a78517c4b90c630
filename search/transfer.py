"""What a result at a low fidelity lets expect of the full one, learned from policies that have both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search.sweep import Floats

CLIP: Final = 2e-3
"""Errors closer to 0 or 1 than this count as this, so that their logits are finite."""

PRIOR: Final = 2.0
"""Pairs that speak for no change; with few real ones, little is corrected."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """From each rung to the next, in the logit of the error: ``y' = y + shift + slope (y - centre)``.

    Accuracies outside 0 to 1 are taken as they are.

    Attributes:
        steps: shift, slope and centre by rung, without the last.
    """

    steps: tuple[tuple[float, float, float], ...]

    @classmethod
    def fitted(cls, rungs: int, pairs: Sequence[tuple[int, float, float]]) -> Self:
        """By ridge regression, the stronger the fewer pairs there are.

        Args:
            rungs: their number.
            pairs: a rung, a policy's accuracy on it, and its accuracy on the next.
        """
        return cls(tuple(_step([pair for pair in pairs if pair[0] == rung]) for rung in range(rungs - 1)))

    def to_full(self, rung: int, accuracy: float) -> float:
        """The accuracy that is expected at full fidelity of one on a rung; it rises with it."""
        if not 0 <= accuracy <= 1:
            return accuracy
        error = float(_logit(np.array([1 - accuracy]))[0])
        for shift, slope, centre in self.steps[rung:]:
            error += shift + slope * (error - centre)
        return float(1 - 1 / (1 + np.exp(-error)))


def _step(pairs: Sequence[tuple[int, float, float]]) -> tuple[float, float, float]:
    known = np.array([pair[1:] for pair in pairs if all(0 <= value <= 1 for value in pair[1:])])
    if not len(known):
        return 0.0, 0.0, 0.0
    before, after = _logit(1 - known[:, 0]), _logit(1 - known[:, 1])
    change, centre = after - before, float(before.mean())
    shift = float(change.sum() / (len(known) + PRIOR))
    spread = before - centre
    slope = float((spread * (change - change.mean())).sum() / (np.square(spread).sum() + PRIOR))
    return shift, max(slope, -0.95), centre


def _logit(errors: Floats) -> Floats:
    clipped = np.clip(errors, CLIP, 1 - CLIP)
    logits: Floats = np.log(clipped / (1 - clipped))
    return logits
