"""What the guided sampler searches: discrete axes, what is predicted of them, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Final

import numpy as np

from search.sweep import Group

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from search.samplers.guided.costs import Costs
    from search.sweep import Floats, Ints

LARGEST_GROUP: Final = 1_000
"""Options of axes that are decided together; larger groups are split into their axes."""

REFERENCES: Final = (0.0, 0.5, 1.0)
"""Severities around which costs that do not add up are taken as if they did."""


@dataclass(frozen=True, eq=False)
class Branch:
    """The axes of one student.

    Attributes:
        axes: their names.
        losses: for each axis, what each choice is predicted to add to the loss; from mild to severe,
            ascending, at least 0.
        costs: of its points.
        base_loss: predicted for all choices at their mildest, above 0.
        together: positions of axes whose costs interact; others stand alone.
    """

    axes: tuple[str, ...]
    losses: tuple[Floats, ...]
    costs: Costs
    base_loss: float = 1.0
    together: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def sizes(self) -> Ints:
        """Choices on each axis."""
        return np.array([len(losses) for losses in self.losses], dtype=np.int64)

    @cached_property
    def severity(self) -> Floats:
        """``axes x most choices``: 0 the mildest choice, 1 the most severe one."""
        return self._table([np.linspace(0.0, 1.0, size) if size > 1 else np.zeros(1) for size in self.sizes])

    @cached_property
    def added(self) -> Floats:
        """``axes x most choices``: `losses`, padded with 0."""
        return self._table(self.losses)

    def look_up(self, table: Floats, points: Ints) -> Floats:
        """``n x axes`` entries of a table for points ``n x axes``."""
        entries: Floats = table[np.arange(len(self.axes)), points]
        return entries

    def predicted(self, points: Ints) -> Floats:
        """The predicted loss of each point."""
        total: Floats = self.base_loss + self.look_up(self.added, points).sum(axis=1)
        return total

    def uniform(self, severity: float) -> Ints:
        """The point whose every choice is nearest to one severity."""
        rounded: Ints = np.rint(severity * (self.sizes - 1)).astype(np.int64)
        return rounded

    def groups(self, costs: Callable[[Ints], Floats]) -> list[list[Group]]:
        """The groups to sweep, once for each severity around which costs are taken as additive.

        Args:
            costs: of points, as they are known by now.
        """
        return [
            [self._group(axes, costs, self.uniform(severity)) for axes in self._partition()]
            for severity in REFERENCES
        ]

    def reweighted(self, group: Group, weights: Floats) -> Group:
        """A group whose losses are multiplied by a weight for each axis of the branch."""
        parts = [weights[axis] * self.added[axis, group.options[:, at]] for at, axis in enumerate(group.axes)]
        return Group(group.axes, group.options, np.sum(parts, axis=0), group.costs)

    def _partition(self) -> list[tuple[int, ...]]:
        joint = [axes for axes in self.together if np.prod(self.sizes[list(axes)]) <= LARGEST_GROUP]
        covered = {axis for axes in joint for axis in axes}
        return [*joint, *((axis,) for axis in range(len(self.axes)) if axis not in covered)]

    def _group(self, axes: Sequence[int], costs: Callable[[Ints], Floats], around: Ints) -> Group:
        options = np.array(list(product(*(range(int(self.sizes[axis])) for axis in axes))), dtype=np.int64)
        points = np.tile(around, (len(options), 1))
        points[:, list(axes)] = options
        group = Group(tuple(axes), options, np.zeros(len(options)), costs(points))
        return self.reweighted(group, np.ones(len(self.axes)))

    def _table(self, rows: Sequence[Floats]) -> Floats:
        table = np.zeros((len(self.axes), int(self.sizes.max(initial=1))))
        for index, row in enumerate(rows):
            table[index, : len(row)] = row
        return table


@dataclass(frozen=True, eq=False)
class Problem:
    """A space to search.

    Attributes:
        branches: at least one.
        choice: name of the axis that chooses among branches, or ``None`` where there is one alone.
        uncertain: position of the objective that must be evaluated; the others are costs.
        maximized: whether that objective is maximised; costs are minimised.
        is_profiled: the losses were measured, rather than guessed from severity.
        scales: of the costs: 1 is the worst value that counts; ``None`` takes the worst value observed.
        best: the uncertain objective's value for the reference, at which a hypervolume's box ends; ``None``
            takes the best value observed.
        bound: the worst value of the uncertain objective that constraints allow, or ``None``.
        cost_bounds: the greatest value that constraints allow, for each cost; infinite without one.
    """

    branches: tuple[Branch, ...]
    choice: str | None = None
    uncertain: int = 0
    maximized: bool = True
    is_profiled: bool = False
    scales: tuple[float, ...] | None = None
    best: float | None = None
    bound: float | None = None
    cost_bounds: tuple[float, ...] = field(default=())


def guessed_losses(size: int) -> Floats:
    """What choices may add to the loss where nothing was measured: the square of their severity."""
    severity = np.linspace(0.0, 1.0, size) if size > 1 else np.zeros(1)
    losses: Floats = np.square(severity)
    return losses
