"""A trial: one policy, evaluated at one fidelity, as a value that storage, HTTP and files share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from evaluators import ArtifactRef, Outcome
from spaces import Metric, Metrics, Point, Policy, metrics_to_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ANCHOR", "PROMOTION", "ArtifactRef", "Outcome", "Trial", "TrialState"]

ANCHOR: Final = "anchor"
"""Origin of a trial that comes first in every search."""

PROMOTION: Final = "promotion"
"""Origin of a trial whose policy was evaluated before, at a lower fidelity."""

LEAST_CHARGE: Final = 0.1
"""What a trial counts at least of a budget: exporting and measuring cost time, too."""


class TrialState(StrEnum):
    """Whether the evaluation of a trial worked; constraints do not matter here."""

    WAITING = "waiting"
    RUNNING = "running"
    COMPLETED = "completed"
    GATED = "gated"  # could not have reached the front, or was evaluated before: costs no budget
    INFEASIBLE = "infeasible"  # could not be deployed as the policy says
    FAILED = "failed"  # the workload or a measurement failed
    LOST = "lost"  # its worker died; the same number runs again

    @property
    def counts(self) -> bool:
        """The trial uses up one of the budget."""
        return self in {TrialState.COMPLETED, TrialState.INFEASIBLE, TrialState.FAILED}

    @property
    def is_final(self) -> bool:
        """Nothing more will happen to the trial."""
        return self.counts or self is TrialState.GATED


@dataclass(frozen=True, slots=True)
class Trial:
    """One asked policy and, once it has ended, what was found.

    Attributes:
        number: given once, in order of asking, from 0; never reused.
        policy: what is evaluated.
        point: its coordinates in the job's space.
        origin: who proposed it: ``anchor``, the sampler's name, or `PROMOTION`.
        sampler_state: what the sampler must be told again when its study is rebuilt.
        state: life of the trial.
        reason: one line for a person where the state is not completed.
        fidelity: share of the full recovery that it was given.
        metrics: by name.
        executed_as: what each weight layer really runs as.
        artifact: the deployable file.
        violates: how far each broken constraint was exceeded, in the metric's unit.
        seconds: wall time of the evaluation.
    """

    number: int
    policy: Policy
    point: Point
    origin: str
    sampler_state: Mapping[str, Any] = field(default_factory=dict)
    state: TrialState = TrialState.RUNNING
    reason: str | None = None
    fidelity: float = 1.0
    metrics: Metrics = field(default_factory=dict)
    executed_as: Mapping[str, str] = field(default_factory=dict)
    artifact: ArtifactRef | None = None
    violates: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def charge(self) -> float:
        """What the trial uses up of a budget: its fidelity, at least a tenth; 0 where it does not count."""
        return max(self.fidelity, LEAST_CHARGE) if self.state.counts else 0.0

    @property
    def evaluated(self) -> Policy:
        """What is evaluated at the trial's fidelity: the policy with that share of its recovery."""
        return self.policy.reduced(self.fidelity)

    def ended(self, outcome: Outcome, violates: Mapping[str, float]) -> Trial:
        """The same trial with what its evaluation found."""
        return replace(
            self,
            state=TrialState(outcome.status),
            reason=outcome.reason,
            metrics=outcome.metrics,
            executed_as=outcome.executed_as,
            artifact=outcome.artifact,
            violates=violates,
            seconds=outcome.seconds,
        )

    def remeasured(self, latency_ms: Metric, violates: Mapping[str, float]) -> Trial:
        """The same trial with a latency that was measured together with others."""
        return replace(self, metrics={**self.metrics, "latency_ms": latency_ms}, violates=violates)

    def value(self, metric: str) -> float:
        """A metric's value.

        Raises:
            KeyError: the trial has no such metric.
        """
        return self.metrics[metric].value

    def to_dict(self) -> dict[str, Any]:
        """The form that HTTP, ``front.json`` and the dashboard have, without what depends on other trials."""
        artifact = self.artifact
        return {
            "trial": self.number,
            "state": str(self.state),
            "reason": self.reason,
            "origin": self.origin,
            "fidelity": self.fidelity,
            "policy_digest": self.policy.digest,
            "policy": self.policy.to_dict(),
            "metrics": metrics_to_dict(self.metrics),
            "executed_as": dict(self.executed_as),
            "artifact": artifact and {"digest": artifact.digest, "size_bytes": artifact.size_bytes},
            "violates": dict(self.violates),
            "seconds": self.seconds,
        }
