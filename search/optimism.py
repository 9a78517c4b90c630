"""How much better a search's numbers look than they are: drops on the split it chose by, and on another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search.spec import Bound
    from spaces import Metric


@dataclass(frozen=True, slots=True)
class Optimism:
    """The chosen trial's drop of accuracy, as the search saw it and as it is.

    The best of many is chosen partly for its luck, on the examples and in its training. Drops are compared
    rather than accuracies, since a split may be harder for the reference, too.

    Attributes:
        trial: the chosen one.
        validation: its drop on the split that the search chose by.
        again: its policy's mean drop there, trained again with fresh seeds; ``None`` where it was not.
        test: its drop on the test split.
        low: lower end of the 95 % interval of `test`.
        high: upper end.
        front: mean over the front of the drop on the test split less that on validation.
        allowed: the largest drop that the job allows, or ``None``.
    """

    trial: int
    validation: float
    again: float | None
    test: float
    low: float | None
    high: float | None
    front: float
    allowed: float | None

    @classmethod
    def of(
        cls, chosen: int | None, drops: Mapping[int, tuple[Metric, Metric]], bound: Bound | None
    ) -> Optimism | None:
        """From the drops on both splits; ``None`` where the chosen trial has none on test.

        Args:
            chosen: number of a trial, or ``None``.
            drops: on validation and on test, by trial, of a front.
            bound: the job's limits of the drop, if any.
        """
        if chosen is None or chosen not in drops:
            return None
        validation, test = drops[chosen]
        gaps = [after.value - before.value for before, after in drops.values()]
        return cls(
            chosen,
            validation.value,
            validation.again,
            test.value,
            test.low,
            test.high,
            sum(gaps) / len(gaps),
            None if bound is None else bound.high,
        )

    @property
    def gap(self) -> float:
        """The drop on test less that on validation: above 0 where the search was too hopeful."""
        return self.test - self.validation

    @property
    def holds(self) -> bool | None:
        """The drop on test is within what is allowed; ``None`` where everything is."""
        return None if self.allowed is None else self.test <= self.allowed + 1e-9

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; all but `trial` and `holds` are fractions of accuracy."""
        return {
            "trial": self.trial,
            "validation": self.validation,
            "again": self.again,
            "test": self.test,
            "test_low": self.low,
            "test_high": self.high,
            "gap": self.gap,
            "front_gap": self.front,
            "allowed": self.allowed,
            "holds": self.holds,
        }
