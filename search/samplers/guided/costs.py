"""What points cost before they are evaluated: learned from results, or by tables that are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from search.sweep import Floats, Ints

PENALTY: Final = 0.1


class Costs(Protocol):
    """Predicts the costs of points."""

    def fitted(self, points: Ints, observed: Floats) -> Callable[[Ints], Floats]:
        """What points cost, given what some were observed to cost.

        Args:
            points: ``n x axes``; n may be 0.
            observed: ``n x m``.

        Returns:
            A function from ``k x axes`` points to ``k x m`` costs.
        """
        ...


class TableCosts:
    """Costs that are known exactly and add up.

    Args:
        tables: for each axis ``choices x m``.
        base: ``m``, of the point whose every choice adds 0.
    """

    def __init__(self, tables: Sequence[Floats], base: Floats) -> None:
        self._tables, self._base = tables, base

    def fitted(self, points: Ints, observed: Floats) -> Callable[[Ints], Floats]:
        """The tables, whatever was observed."""
        return self._costs

    def _costs(self, points: Ints) -> Floats:
        parts = [table[points[:, axis]] for axis, table in enumerate(self._tables)]
        total: Floats = self._base + np.sum(parts, axis=0)
        return total


class LearnedCosts:
    """Costs that nothing is known of: the logarithm is linear in the choices, by ridge regression.

    Args:
        sizes: choices on each axis.
        count: of costs.
    """

    def __init__(self, sizes: Sequence[int], count: int) -> None:
        self._sizes, self._count = np.asarray(sizes, dtype=np.int64), count
        self._starts = np.concatenate([[0], np.cumsum(self._sizes - 1)])

    def fitted(self, points: Ints, observed: Floats) -> Callable[[Ints], Floats]:
        """A regression of what was observed; without any, each choice costs a little less than a milder.

        Costs of which one is not above 0 are learned as they are, without a logarithm.
        """
        is_positive = (observed > 0).all(axis=0) if len(points) else np.ones(self._count, dtype=bool)
        prior = np.where(is_positive, self._prior(), 0.0)
        slope, intercept = prior, np.zeros(self._count)
        if len(points):
            rows = self._encoded(points)
            targets = np.where(is_positive, np.log(np.where(is_positive, observed, 1.0)), observed)
            rest = targets - rows @ prior
            centre, shift = rows.mean(axis=0), rest.mean(axis=0)
            rows = rows - centre
            gram = rows @ rows.T + PENALTY * np.eye(len(rows))
            slope = prior + rows.T @ np.linalg.solve(gram, rest - shift)
            intercept = shift + centre @ (prior - slope)

        def costs(asked: Ints) -> Floats:
            values = intercept + self._encoded(asked) @ slope
            return np.where(is_positive, np.exp(np.where(is_positive, values, 0.0)), values)

        return costs

    def _prior(self) -> Floats:
        step = np.concatenate([np.linspace(0, 1, size)[1:] for size in self._sizes])
        return np.repeat(-step[:, None] / max(len(self._sizes), 1), self._count, axis=1)

    def _encoded(self, points: Ints) -> Floats:
        """One column for each choice but the mildest."""
        encoded = np.zeros((len(points), int(self._starts[-1])))
        for axis, start in enumerate(self._starts[:-1]):
            rows = np.flatnonzero(points[:, axis])
            encoded[rows, start + points[rows, axis] - 1] = 1.0
        return encoded
