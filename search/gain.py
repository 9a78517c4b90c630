"""What points would add to the volume that others dominate: which of many is worth a longer evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import moocore
import numpy as np

if TYPE_CHECKING:
    from search.sweep import Floats

MARGIN: Final = 0.1
"""How far the box reaches beyond the worst value, of each objective's range, so that a front's ends count."""


def box_of(values: Floats) -> Floats:
    """The corner of the box in which volumes are taken, beyond the worst of all values.

    Args:
        values: ``n x d``, finite, all minimised, ``n`` at least 1.

    Returns:
        ``d`` values.
    """
    worst: Floats = values.max(axis=0)
    span = np.ptp(values, axis=0)
    return worst + np.where(span > 0, MARGIN * span, 1.0)


def gains(points: Floats, base: Floats, box: Floats) -> Floats:
    """What each point alone adds to the volume of a base; 0 for one that the base dominates.

    Args:
        points: ``n x d``, finite, all minimised.
        base: ``m x d``; may be empty.
        box: the corner at which volumes end, ``d``.

    Returns:
        ``n`` values, at least 0.
    """
    if not len(base):
        whole: Floats = np.prod(np.maximum(box - points, 0.0), axis=1)
        return whole
    before = float(moocore.hypervolume(base, ref=box))
    after = [float(moocore.hypervolume(np.vstack([base, point]), ref=box)) for point in points]
    return np.maximum(np.array(after) - before, 0.0)
