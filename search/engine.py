"""Ask and tell over whole trials: anchors first, then the sampler, and never the same policy twice."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import product
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Final, Protocol

from search.anchors import anchors, given_anchors
from search.ladder import Ladder
from search.samplers.proposal import Proposal, seed_for
from search.trial import PROMOTION, Trial
from spaces import STUDENT_AXIS, Point, SearchSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from search.guidance import Guidance
    from search.samplers.guided.belief import Insight
    from search.spec import JobSpec

GUIDED: Final = "guided"
MOVES: Final = 64
"""Random moves away from a proposal that was evaluated before, until the rest of the space is listed."""


class Sampler(Protocol):
    """Who proposes: depends on what it was told, its seed and the trial's number, and on nothing else."""

    def ask(self, number: int) -> Proposal:
        """The proposal for a trial number."""
        ...

    def tell(self, trial: Trial) -> None:
        """Takes in a trial that has ended."""
        ...

    def expect(self, trial: Trial) -> None:
        """Takes in a trial that runs, proposed by another sampler whose place this one takes."""
        ...


SAMPLER_MAKERS: Final[dict[str, str]] = {
    "guided": "search.samplers.guided.making:make_guided",
    "nsga2": "search.samplers.nsga2:make_nsga2",
    "random": "search.samplers.random:make_random",
    "tpe": "search.samplers.tpe:make_tpe",
}
"""Where each sampler is made; it is loaded when a job asks for it, since some take seconds to load."""

NAMED: Final = "search.samplers.named:make_named"


def _make_sampler(space: SearchSpace, spec: JobSpec, guidance: Guidance | None) -> Sampler:
    make: Callable[..., Sampler] = resolve_name(SAMPLER_MAKERS.get(spec.sampler, NAMED))
    return make(space, spec, guidance) if spec.sampler == GUIDED else make(space, spec)


class Engine:
    """The search of one job.

    Args:
        space: to search.
        spec: the job.
        history: its trials that have ended, by number; the engine is as if it had proposed them itself.
        guidance: what is known beforehand, for a sampler that reads it.
    """

    def __init__(
        self,
        space: SearchSpace,
        spec: JobSpec,
        history: Sequence[Trial] = (),
        guidance: Guidance | None = None,
    ) -> None:
        self._space, self._spec = space, spec
        self._guidance = guidance
        self._sampler = _make_sampler(space, spec, guidance)
        self._ladder = Ladder(spec) if spec.fidelity == "ladder" else None
        self._is_stale = False
        given = given_anchors(space, spec.anchors)
        known = {space.policy(point).digest for point in given}
        uniform = anchors(space, spec.budget.trials)
        self._anchors = given + [point for point in uniform if space.policy(point).digest not in known]
        self._seen: dict[str, int] = {}
        self._next = self._proposed = 0
        for trial in history:
            self.tell(trial)

    @property
    def is_exhausted(self) -> bool:
        """Every policy of the space has been proposed, and none is left to be promoted."""
        return self._is_used_up and (self._ladder is None or self._ladder.promotion(0.0) is None)

    @property
    def _is_used_up(self) -> bool:
        return len(self._seen) >= self._space.size

    @property
    def insight(self) -> Insight | None:
        """What the last proposal was based on, where the sampler tells."""
        return getattr(self._sampler, "insight", None)

    def ask(self, left: float = math.inf) -> Trial:
        """The next trial, running; its number is one more than the highest so far.

        Args:
            left: of the budget, in trials of full fidelity: when little is left, those that got no further
                than a lower fidelity and may be on the front are evaluated at the full one.

        Raises:
            StopIteration: the space is exhausted.
        """
        number = self._next
        if self._ladder is None:
            trial = self._proposal(number)
        else:
            promotion = self._ladder.promotion(0.0 if self._is_used_up else left)
            if promotion is None:
                trial = self._proposal(number)
                trial = replace(trial, fidelity=self._ladder.first(trial.policy, left))
            else:
                before, fidelity = promotion
                trial = Trial(number, before.policy, before.point, PROMOTION, fidelity=fidelity)
            self._ladder.begin(trial)
        self._claim(trial)
        return trial

    def take_up(self, trial: Trial) -> None:
        """Reserves the number and the policy of a trial that was asked for before and has not ended."""
        self._claim(trial)
        if self._ladder is not None:
            self._ladder.begin(trial)

    def tell(self, trial: Trial) -> None:
        """Takes in a trial that has ended."""
        self._claim(trial)
        if self._ladder is None:
            self._sampler.tell(trial)
            return
        self._ladder.tell(trial)
        if trial.origin == PROMOTION:
            self._is_stale = True  # what earlier results let expect has changed
        elif not self._is_stale:
            self._sampler.tell(self._ladder.expected(trial))

    def _proposal(self, number: int) -> Trial:
        if self._is_used_up:
            raise StopIteration
        anchor = self._anchor()
        if anchor is not None:
            proposal, origin = Proposal(anchor, {}), "anchor"
        else:
            self._refresh()
            proposal, origin = self._sampler.ask(number), self._spec.sampler
        point = self._unseen(proposal.point, number)
        return Trial(number, self._space.policy(point), point, origin, proposal.state)

    def _anchor(self) -> Point | None:
        """The first anchor that was not proposed yet, while as few trials were as there are anchors."""
        if self._proposed >= len(self._anchors):
            return None
        return next((p for p in self._anchors if self._space.policy(p).digest not in self._seen), None)

    def _refresh(self) -> None:
        """Makes the sampler anew where results that it was told are expected to end otherwise by now."""
        if self._ladder is None or not self._is_stale:
            return
        self._sampler = _make_sampler(self._space, self._spec, self._guidance)
        for trial in self._ladder.standings():
            self._sampler.tell(trial)
        for trial in self._ladder.running:
            if trial.origin != PROMOTION:
                self._sampler.expect(trial)
        self._is_stale = False

    def _claim(self, trial: Trial) -> None:
        if trial.number >= self._next and trial.origin != PROMOTION:
            self._proposed += 1
        self._seen.setdefault(trial.policy.digest, trial.number)
        self._next = max(self._next, trial.number + 1)

    def _unseen(self, point: Point, number: int) -> Point:
        """The point itself, or one near it whose policy was not proposed before."""
        draw = random.Random(seed_for(self._spec.seed, number))  # noqa: S311
        for _ in range(MOVES):
            if self._space.policy(point).digest not in self._seen:
                return point
            point = self._moved(point, draw)
        return self._any_unseen(draw)

    def _moved(self, point: Point, draw: random.Random) -> Point:
        axes = self._space.students[point[STUDENT_AXIS]].axes
        axis = draw.choice([axis for axis in axes if len(axis.choices) > 1] or list(axes))
        return {**point, axis.name: draw.randrange(len(axis.choices))}

    def _any_unseen(self, draw: random.Random) -> Point:
        """A small space is nearly used up: lists it in a random order. A large one is never listed whole."""
        students = list(range(len(self._space.students)))
        draw.shuffle(students)
        for student in students:
            axes = self._space.students[student].axes
            orders = [draw.sample(range(len(axis.choices)), len(axis.choices)) for axis in axes]
            for indices in product(*orders):
                point = {STUDENT_AXIS: student} | {
                    axis.name: i for axis, i in zip(axes, indices, strict=True)
                }
                if self._space.policy(point).digest not in self._seen:
                    return point
        raise StopIteration
