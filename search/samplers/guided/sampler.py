"""The guided sampler: a profile's predictions, corrected by results, and the expected gain of the front.

Seeds come from sweeps of the predicted loss. Then a Gaussian process on the logit of the error, with the
prediction among its features, says how surely a candidate would extend the front; costs are known before. All
that it believes is derived from the study's trials and its seed, so a study that was rebuilt is continued as
if nothing had happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from threadpoolctl import ThreadpoolController

from search.samplers.guided.belief import Belief
from search.samplers.guided.candidates import by_chance, moved, neighbours
from search.samplers.guided.deriving import derived_problem, distributions_of, values_of
from search.samplers.guided.history import History, Reader
from search.samplers.guided.knowledge import Knowledge, checkpoint_size
from search.sweep import farthest_first

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from search.samplers.guided.belief import Insight
    from search.samplers.guided.history import Place
    from search.samplers.guided.problem import Problem

STARTUP: Final = 16
"""Results before the surrogate is asked; anchors count."""

LEAST_RESULTS: Final = 4
MOVES: Final = 120
CHANCES: Final = 20
ROUNDS: Final = 16
"""Local steps after the candidates: going on from a few of the best found more than many candidates did."""

BEST: Final = 3


@dataclass(frozen=True, slots=True)
class Switches:
    """Parts that can be left out, for those who want to know what each is worth.

    Attributes:
        feedback: the surrogate is asked; else sweeps alone are drawn from.
        exploration: now and then the most promising uncertain point is tried.
    """

    feedback: bool = True
    exploration: bool = True


class GuidedSampler(BaseSampler):
    """Proposes by a profile, a Gaussian process and exact costs; multi-objective, for discrete axes.

    In a study of one's own it needs nothing: axes come from the parameters that all trials share (integers
    and categories ordered from mild to severe; others are drawn at random), the first objective is the
    uncertain one, and what the others cost is learned.

    Args:
        problem: what is known beforehand: axes, predicted losses, costs; ``None`` derives it from the study.
        seed: the same trials and seed propose the same.
        startup: results before the surrogate is asked.
        switches: parts to leave out.
    """

    def __init__(
        self,
        problem: Problem | None = None,
        *,
        seed: int = 0,
        startup: int = STARTUP,
        switches: Switches | None = None,
    ) -> None:
        self._given, self._seed = problem, seed
        self._startup = max(startup, LEAST_RESULTS)
        self._switches = switches or Switches()
        self._problem: Problem | None = None
        self._reader: Reader | None = None
        self._study: str | None = None
        self._known: Knowledge | None = None
        self._known_from: tuple[int, ...] = ()
        self._pools: ThreadpoolController | None = None
        self.insight: Insight | None = None
        """What the last proposal was based on; ``None`` before the surrogate was first asked."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The axes of the problem, or those that all the study's trials share."""
        if self._given is not None:
            return distributions_of(self._given)
        problem, distributions = derived_problem(study)
        if problem is None:
            return {}
        known = self._problem
        if known is None or not _same_axes(known, problem):
            self._problem, self._reader, self._known = problem, None, None
        return distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal, one value for each axis that the chosen branch has."""
        problem = self._given or self._problem
        if not search_space or problem is None:
            return {}
        history = self._read(study, trial, problem)
        draw = np.random.default_rng([self._seed, trial.number])
        # Matrices are small: on a machine that does other work, two threads were five times slower than one.
        with self._threads().limit(limits=1):
            place = self._propose(problem, history, draw)
        return values_of(problem, place, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """At random: for parameters that are no axis."""
        seed = np.random.default_rng([self._seed, trial.number, *param_name.encode()]).integers(2**31)
        return RandomSampler(int(seed)).sample_independent(study, trial, param_name, param_distribution)

    def _threads(self) -> ThreadpoolController:
        if self._pools is None:
            self._pools = ThreadpoolController()
        return self._pools

    def _read(self, study: Study, trial: FrozenTrial, problem: Problem) -> History:
        if self._reader is None or self._study != study.study_name:
            signs = [
                -1.0 if index != problem.uncertain and way is StudyDirection.MAXIMIZE else 1.0
                for index, way in enumerate(study.directions)
            ]
            self._reader, self._study, self._known = Reader(problem, signs), study.study_name, None
        return self._reader.read(study.get_trials(deepcopy=False), trial.number)

    def _propose(self, problem: Problem, history: History, draw: np.random.Generator) -> Place:
        known = self._knowledge(problem, history)
        seen = history.seen
        pool = [place for place in known.pool if place not in seen]
        is_starting = len(history.places) + len(history.pending) < self._startup
        if is_starting or len(history.places) < LEAST_RESULTS:
            return self._seed_from(pool, problem, known, seen, draw)
        if not self._switches.feedback:
            return pool[int(draw.integers(len(pool)))] if pool else _unseen(problem, seen, draw)
        belief = Belief(problem, history, known)
        self.insight = belief.insight
        return self._best(problem, belief, pool, seen, draw)

    def _knowledge(self, problem: Problem, history: History) -> Knowledge:
        """Of the first results; kept until there are enough for the next step."""
        size = checkpoint_size(len(history.places)) if self._switches.feedback else 0
        numbers = tuple(history.numbers[:size])
        if self._known is None or self._known_from != numbers:
            first = History(history.places[:size], history.values[:size], list(numbers))
            self._known, self._known_from = Knowledge(problem, first, self._seed), numbers
        return self._known

    def _seed_from(
        self,
        pool: Sequence[Place],
        problem: Problem,
        known: Knowledge,
        seen: set[Place],
        draw: np.random.Generator,
    ) -> Place:
        """The point of the sweeps that lies farthest, in loss and costs, from all that were tried."""
        if not pool:
            return _unseen(problem, seen, draw)
        tried = known.coordinates(sorted(seen)) if seen else None
        farthest = farthest_first(known.coordinates(pool), 1, tried)
        return pool[farthest[0]] if farthest else _unseen(problem, seen, draw)

    def _best(
        self,
        problem: Problem,
        belief: Belief,
        pool: Sequence[Place],
        seen: set[Place],
        draw: np.random.Generator,
    ) -> Place:
        """The candidate of the greatest expected gain, after rounds of local steps from the best so far."""
        explore = self._switches.exploration and draw.random() < belief.insight.exploration
        candidates = [
            *belief.chosen(pool, draw),
            *moved(belief.front, problem, MOVES, draw),
            *by_chance(problem, CHANCES, draw),
        ]
        candidates = [place for place in dict.fromkeys(candidates) if place not in seen]
        if not candidates:
            return _unseen(problem, seen, draw)
        gains = belief.gains(candidates, optimistic=explore)
        for _ in range(ROUNDS):
            best = np.argsort(-gains, kind="stable")[:BEST]
            known = {*candidates, *seen}
            more = neighbours([candidates[at] for at in best], problem, draw)
            more = [place for place in dict.fromkeys(more) if place not in known]
            if not more:
                break
            candidates += more
            gains = np.concatenate([gains, belief.gains(more, optimistic=explore)])
        return candidates[int(gains.argmax())]


def _unseen(problem: Problem, seen: set[Place], draw: np.random.Generator) -> Place:
    """A random point that was not tried; one that was where a hundred draws find no other."""
    drawn = by_chance(problem, 100, draw)
    return next((place for place in drawn if place not in seen), drawn[0])


def _same_axes(one: Problem, other: Problem) -> bool:
    return all(
        a.axes == b.axes and (a.sizes == b.sizes).all()
        for a, b in zip(one.branches, other.branches, strict=True)
    )
