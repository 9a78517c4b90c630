"""What minimises a predicted loss plus weighted costs when both add up over groups of axes.

Axes whose costs interact belong to one group, so that the sum is exact. `sweep` finds, for each vector of
multipliers, the option of every group that minimises ``loss + multipliers · costs`` (Everett 1963): exactly
the supported points of the trade-off. `exact_front` finds the others too, group by group with dominated
partial sums dropped (Nemhauser & Ullmann 1969), for spaces small enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import moocore
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SPAN: Final = (-3.5, 3.5)
"""Decades that multipliers of normalised costs span around 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Axes that are decided together.

    Attributes:
        axes: their positions among the columns of a point.
        options: ``k x len(axes)``, the index of the choice on each axis.
        losses: ``k``, what each option adds to the predicted loss; minimised.
        costs: ``k x m``, what it adds to each cost; minimised.
    """

    axes: tuple[int, ...]
    options: Ints
    losses: Floats
    costs: Floats

    def pruned(self) -> Group:
        """Without the options that another one beats or equals in loss and all costs; never empty."""
        kept = moocore.is_nondominated(np.column_stack([self.losses, self.costs]))
        return Group(self.axes, self.options[kept], self.losses[kept], self.costs[kept])


def sweep(groups: Sequence[Group], multipliers: Floats) -> Ints:
    """The minimiser of ``loss + multipliers · costs`` for each row of multipliers.

    Args:
        groups: together they have every axis once; ties go to a group's first option.
        multipliers: ``n x m``, at least 0.

    Returns:
        ``n x axes`` points.
    """
    points = np.zeros((len(multipliers), sum(len(group.axes) for group in groups)), dtype=np.int64)
    for group in groups:
        best = (group.losses[None, :] + multipliers @ group.costs.T).argmin(axis=1)
        points[:, list(group.axes)] = group.options[best]
    return points


def multipliers_for(groups: Sequence[Group], count: int, draw: np.random.Generator) -> Floats:
    """Log-uniform multipliers, scaled so that 1 weighs the range of a cost like the range of the loss.

    Args:
        groups: to be swept.
        count: rows.
        draw: of the randomness.

    Returns:
        ``count x m``.
    """
    loss = sum(float(np.ptp(group.losses)) for group in groups)
    ranges = np.sum([np.ptp(group.costs, axis=0) for group in groups], axis=0)
    scale = np.where(ranges > 0, (loss or 1.0) / np.where(ranges > 0, ranges, 1.0), 0.0)
    weights: Floats = 10.0 ** draw.uniform(*SPAN, size=(count, len(ranges))) * scale
    return weights


def exact_front(groups: Sequence[Group], limit: int = 20_000) -> Ints | None:
    """All non-dominated points of the sums, one for each vector of values.

    Args:
        groups: as for `sweep`.
        limit: of partial sums that are kept.

    Returns:
        ``n x axes`` points by ascending loss; ``None`` where more than `limit` partial sums would have to be
        kept.
    """
    width = sum(len(group.axes) for group in groups)
    points, sums = np.zeros((1, width), dtype=np.int64), np.zeros((1, 1 + groups[0].costs.shape[1]))
    for group in (group.pruned() for group in groups):
        values = np.column_stack([group.losses, group.costs])
        rows, options = (grid.ravel() for grid in np.indices((len(sums), len(values))))
        added = sums[rows] + values[options]
        kept = moocore.is_nondominated(added)
        if int(kept.sum()) > limit:
            return None
        rows, options, sums = rows[kept], options[kept], added[kept]
        points = points[rows]
        points[:, list(group.axes)] = group.options[options]
    order = np.lexsort(sums.T[::-1])
    return points[order]


def farthest_first(features: Floats, count: int, known: Floats | None = None) -> list[int]:
    """A few rows that lie far apart (Gonzalez 1985): each the farthest from all chosen before it.

    Args:
        features: ``n x d``; distances are Euclidean after each column is scaled to its range.
        count: of rows, or fewer where the others repeat a chosen one.
        known: rows that count as chosen already; without them the first row is the first chosen.

    Returns:
        Positions, in the order of choice.
    """
    low, span = features.min(axis=0), np.ptp(features, axis=0)
    span = np.where(span > 0, span, 1.0)
    scaled = (features - low) / span
    chosen: list[int] = []
    if known is None or not len(known):
        chosen, distances = [0], _distances(scaled, scaled[0])
    else:
        others: Any = (known - low) / span
        distances = np.min([_distances(scaled, other) for other in others], axis=0)
    while len(chosen) < count:
        farthest = int(distances.argmax())
        if not distances[farthest] > 0:
            break
        chosen.append(farthest)
        distances = np.minimum(distances, _distances(scaled, scaled[farthest]))
    return chosen[:count]


def _distances(rows: Floats, row: Floats) -> Floats:
    distances: Floats = np.square(rows - row).sum(axis=1)
    return distances
