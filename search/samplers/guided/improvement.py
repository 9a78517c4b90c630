"""Expected hypervolume improvement where costs are known and one error is uncertain, without sampling errors.

The space of costs is cut into cells at the front's costs. Above each cell the front leaves errors below some
level free; a candidate of known costs gains, in each cell that it dominates, its expected improvement below
that level. With more than two costs, fixed Sobol points take the place of cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.stats import qmc

if TYPE_CHECKING:
    from search.sweep import Floats

NODES: Final = 12
SOBOL_LOG2: Final = 11
CHUNK: Final = 2_000_000
"""Entries of the largest temporary array."""


def gauss_nodes() -> tuple[Floats, Floats]:
    """Standard normal quadrature: nodes and weights that add up to 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return nodes, weights / weights.sum()


class Improvement:
    """The gain of candidates over a front; all values minimised, and nothing beyond 1 counts.

    Args:
        errors: ``k``, of the front's members; k may be 0.
        costs: ``k x m``; m may be 0.
    """

    def __init__(self, errors: Floats, costs: Floats) -> None:
        inside = (errors < 1) & (costs < 1).all(axis=1)
        self._errors, self._costs = errors[inside], costs[inside]
        self._levels, inverse = np.unique(np.append(self._errors, 1.0), return_inverse=True)
        self._rank = inverse[:-1]
        self._count = costs.shape[1]
        if self._count <= 2:  # noqa: PLR2004  # a grid of cells; more costs would make too many
            self._edges = [
                np.unique(np.concatenate([[-np.inf, 1.0], self._costs[:, axis]]))
                for axis in range(self._count)
            ]
            self._cells = self._cell_levels()
        else:
            self._points = qmc.Sobol(self._count, scramble=False).random_base2(SOBOL_LOG2)
            self._cells = self._point_levels()

    def expected(self, errors: Floats, weights: Floats, costs: Floats) -> Floats:
        """The expected gain in hypervolume of each candidate alone.

        Args:
            errors: ``n x q``, values that a candidate's error may take.
            weights: ``q``, their probabilities.
            costs: ``n x m``.

        Returns:
            ``n``, at least 0.
        """
        width = max(1, self._cells.size, len(self._levels) * len(weights))
        step = max(1, CHUNK // width)
        parts = [
            self._gains(errors[at : at + step], weights, costs[at : at + step])
            for at in range(0, len(costs), step)
        ]
        return np.concatenate(parts) if parts else np.zeros(0)

    def _gains(self, errors: Floats, weights: Floats, costs: Floats) -> Floats:
        below = np.maximum(self._levels[None, :, None] - errors[:, None, :], 0.0) @ weights
        if self._count == 0:
            return np.asarray(below[:, int(self._cells)])
        if self._count > 2:  # noqa: PLR2004
            dominated = (costs[:, None, :] <= self._points[None]).all(axis=2)
            return np.asarray((dominated * below[:, self._cells]).mean(axis=1))
        widths = [self._widths(axis, costs[:, axis]) for axis in range(self._count)]
        if self._count == 1:
            return np.asarray(np.einsum("ni,ni->n", widths[0], below[:, self._cells]))
        gains = below[:, self._cells]  # n x i x j
        return np.asarray(np.einsum("ni,nj,nij->n", widths[0], widths[1], gains, optimize=True))

    def _widths(self, axis: int, costs: Floats) -> Floats:
        """How much of each cell lies above a candidate's cost."""
        edges = self._edges[axis]
        lower = np.maximum(edges[None, :-1], costs[:, None])
        widths: Floats = np.maximum(edges[None, 1:] - lower, 0.0)
        return widths

    def _cell_levels(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        """For each cell the position of the least error that the front has at its lower corner or below."""
        if self._count == 0:
            return np.zeros((), dtype=np.int64)
        shape = tuple(len(edges) - 1 for edges in self._edges)
        levels = np.full(shape, len(self._levels) - 1, dtype=np.int64)
        corners = tuple(
            np.searchsorted(edges, self._costs[:, axis]) for axis, edges in enumerate(self._edges)
        )
        np.minimum.at(levels, corners, self._rank)
        for axis in range(self._count):
            levels = np.minimum.accumulate(levels, axis=axis)
        return levels

    def _point_levels(self) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
        levels = np.full(len(self._points), len(self._levels) - 1, dtype=np.int64)
        for rank, costs in zip(self._rank, self._costs, strict=True):
            covered = (costs <= self._points).all(axis=1)
            levels[covered] = np.minimum(levels[covered], rank)
        return levels
