"""Points worth asking the surrogate about: sweeps of the predicted loss, moves around the front, chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from search.sweep import multipliers_for, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from search.samplers.guided.history import Place
    from search.samplers.guided.problem import Branch, Problem
    from search.sweep import Floats, Ints

REWEIGHTINGS: Final = 6
"""Sets of random axis weights that sweeps are repeated with."""

PRIOR: Final = 1.0
"""Weight of the belief that an axis's losses are as predicted, in results."""

NEIGHBOURS: Final = 60
CROSSED: Final = 0.25
"""Share of moves that start from a cross of two members of the front."""

STEPPED: Final = 0.6
"""Share of changed choices that go to a neighbour; the others go anywhere."""


def swept(
    problem: Problem,
    costs: Sequence[Callable[[Ints], Floats]],
    weights: Sequence[Floats],
    count: int,
    spread: float,
    draw: np.random.Generator,
) -> list[Place]:
    """Minimisers of the predicted loss plus weighted costs, over all branches, without repetition.

    Half of them with the weights as given, half with random ones around them.

    Args:
        problem: to sweep.
        costs: of each branch's points.
        weights: of each branch's axes.
        count: minimisations in all.
        spread: standard deviation of the logarithm of random weights.
        draw: of the randomness.
    """
    found: dict[Place, None] = {}
    for index, branch in enumerate(problem.branches):
        sets = branch.groups(costs[index])
        each = max(1, count // (2 * len(problem.branches) * len(sets)))
        for groups in sets:
            plain = [branch.reweighted(group, weights[index]) for group in groups]
            points = [sweep(plain, multipliers_for(plain, each, draw))]
            for _ in range(REWEIGHTINGS if spread > 0 else 0):
                random = weights[index] * np.exp(spread * draw.standard_normal(len(branch.axes)))
                varied = [branch.reweighted(group, random) for group in groups]
                points.append(sweep(varied, multipliers_for(varied, max(1, each // REWEIGHTINGS), draw)))
            found.update(dict.fromkeys(places(index, np.concatenate(points))))
    return list(found)


def corrected_weights(branch: Branch, points: Ints, losses: Floats) -> Floats:
    """How much each axis's predicted losses must be multiplied to explain results; around 1, above 0.

    A ridge regression of relative losses on the axes' shares, towards 1.

    Args:
        branch: whose axes.
        points: ``n x axes`` that were evaluated.
        losses: ``n``, what they were found to lose, in the scale of predicted losses.
    """
    predicted = branch.predicted(points)
    shares = branch.look_up(branch.added, points) / predicted[:, None]
    rest = np.clip((losses - predicted) / predicted, -1.0, 3.0)
    gram = shares @ shares.T + PRIOR / max(len(branch.axes), 1) * np.eye(len(shares))
    weights: Floats = np.clip(1 + shares.T @ np.linalg.solve(gram, rest), 0.2, 5.0)
    return weights


def moved(front: Sequence[Place], problem: Problem, count: int, draw: np.random.Generator) -> list[Place]:
    """Members of the front with one to a few choices changed, or crossed with another member."""
    found = []
    for _ in range(count):
        branch, point = front[int(draw.integers(len(front)))]
        sizes = problem.branches[branch].sizes
        values = np.array(point, dtype=np.int64)
        mates = [other for own, other in front if own == branch]
        if draw.random() < CROSSED and len(mates) > 1:
            mate = np.array(mates[int(draw.integers(len(mates)))], dtype=np.int64)
            values = np.where(draw.integers(2, size=len(values)) == 0, values, mate)
        for axis in draw.integers(len(sizes), size=1 + draw.poisson(0.8)) if len(sizes) else ():
            if draw.random() < STEPPED:
                values[axis] += draw.choice((-1, 1))
            else:
                values[axis] = draw.integers(sizes[axis])
        found.append((branch, tuple(np.clip(values, 0, sizes - 1).tolist())))
    return found


def neighbours(around: Sequence[Place], problem: Problem, draw: np.random.Generator) -> list[Place]:
    """Points that differ by one step on one axis from some of the given ones; at most `NEIGHBOURS`, drawn."""
    steps = [2 * len(problem.branches[branch].axes) for branch, _ in around]
    ends = np.cumsum(steps)
    total = int(ends[-1]) if steps else 0
    chosen = range(total) if total <= NEIGHBOURS else draw.choice(total, NEIGHBOURS, replace=False).tolist()
    found = []
    for at in chosen:
        index = int(np.searchsorted(ends, at, side="right"))
        branch, point = around[index]
        axis, way = divmod(at - int(ends[index]) + steps[index], 2)
        level = point[axis] + 2 * way - 1
        if 0 <= level < problem.branches[branch].sizes[axis]:
            found.append((branch, (*point[:axis], level, *point[axis + 1 :])))
    return found


def by_chance(problem: Problem, count: int, draw: np.random.Generator) -> list[Place]:
    """Points drawn around random severities, so that mild and severe policies are met as well as mixed."""
    found = []
    for _ in range(count):
        branch = int(draw.integers(len(problem.branches)))
        sizes = problem.branches[branch].sizes
        level = draw.random()
        drawn = np.rint((level + 0.35 * draw.standard_normal(len(sizes))) * (sizes - 1))
        found.append((branch, tuple(np.clip(drawn, 0, sizes - 1).astype(np.int64).tolist())))
    return found


def places(branch: int, points: Ints) -> list[Place]:
    """Rows of points with their branch."""
    return [(branch, tuple(row)) for row in points.tolist()]
