"""How well measurements of the same artifacts agree with each other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def kendall(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Rank agreement of two orders without ties (Kendall 1938, tau-a): 1 is the same order, -1 the reverse.

    Args:
        first: ``n`` values, at least two.
        second: ``n`` values of the same things.
    """
    pairs = list(combinations(range(len(first)), 2))
    signs = [np.sign(first[i] - first[j]) * np.sign(second[i] - second[j]) for i, j in pairs]
    return float(np.mean(signs))


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of several runs over the same policies.

    Attributes:
        taus: rank agreement of every two runs.
        variations: standard deviation over runs by mean, for each policy.
    """

    taus: NDArray[Any]
    variations: NDArray[Any]

    @classmethod
    def of(cls, ratios: NDArray[Any]) -> Agreement:
        """From ratios to the baseline, ``runs x policies``, at least two runs."""
        pairs = combinations(range(len(ratios)), 2)
        taus = np.array([kendall(ratios[one], ratios[other]) for one, other in pairs])
        return cls(taus, ratios.std(axis=0, ddof=1) / ratios.mean(axis=0))
