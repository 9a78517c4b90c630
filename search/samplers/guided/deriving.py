"""A problem from a study that nothing else is known of, and parameters from a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection

from search.samplers.guided.costs import LearnedCosts
from search.samplers.guided.problem import Branch, Problem, guessed_losses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from optuna.distributions import BaseDistribution
    from optuna.study import Study

    from search.samplers.guided.history import Place

MOST_CHOICES = 256


def derived_problem(study: Study) -> tuple[Problem | None, dict[str, BaseDistribution]]:
    """The discrete parameters that all completed trials share, as one branch; ``None`` without any."""
    shared = IntersectionSearchSpace().calculate(study)
    axes = {name: distribution for name, distribution in shared.items() if _size(distribution) > 1}
    axes = {name: distribution for name, distribution in axes.items() if _size(distribution) <= MOST_CHOICES}
    if not axes:
        return None, {}
    sizes = [_size(distribution) for distribution in axes.values()]
    branch = Branch(
        tuple(axes),
        tuple(guessed_losses(size) for size in sizes),
        LearnedCosts(sizes, len(study.directions) - 1),
    )
    return Problem((branch,), maximized=study.directions[0] is StudyDirection.MAXIMIZE), axes


def distributions_of(problem: Problem) -> dict[str, BaseDistribution]:
    """One integer for each axis, from 0; and the choice of the branch."""
    found: dict[str, BaseDistribution] = {}
    if problem.choice is not None:
        found[problem.choice] = IntDistribution(0, len(problem.branches) - 1)
    for branch in problem.branches:
        for axis, size in zip(branch.axes, branch.sizes, strict=True):
            found[axis] = IntDistribution(0, int(size) - 1)
    return found


def values_of(problem: Problem, place: Place, space: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    """A place as the study's parameters."""
    index, point = place
    found: dict[str, Any] = {} if problem.choice is None else {problem.choice: index}
    for axis, position in zip(problem.branches[index].axes, point, strict=True):
        distribution: Any = space[axis]
        if isinstance(distribution, IntDistribution):
            found[axis] = distribution.low + position * distribution.step
        else:
            found[axis] = distribution.choices[position]
    return found


def _size(distribution: BaseDistribution) -> int:
    """Choices of a discrete parameter; 0 of another."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return (distribution.high - distribution.low) // distribution.step + 1
    return 0
