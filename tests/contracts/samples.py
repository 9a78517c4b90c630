"""Values that the storage contracts store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from evaluators import ArtifactRef
from search.job import Progress
from search.spec import Bound, Budget, JobSpec
from search.trial import Trial, TrialState
from spaces import Bits, LayerPolicy, LayerRule, Metric, Policy, Prune, SpaceRequest, Student

SPEC = JobSpec(
    "digits-cnn",
    constraints={"accuracy_drop": Bound(high=0.01)},
    # The first rule that matches holds: sorted by name, these would mean something else.
    space=SpaceRequest(
        layers={"head.fc": LayerRule(keep=True), "*": LayerRule(bits=(Bits(), Bits(8, 8, "static")))}
    ),
    budget=Budget(trials=3),
)
ARTIFACT = ArtifactRef("sha256:" + "ab" * 32, 98304)


def running(number: int) -> Trial:
    """A trial that was asked; each number has another policy."""
    policy = Policy(Student(), {"stem.conv": LayerPolicy(Prune(number / 1000))})
    return Trial(number, policy, {"student": 0, "0/prune:stem.conv": number}, "tpe", {"generation": 1})


def finished(number: int, state: TrialState = TrialState.COMPLETED, **changes: Any) -> Trial:
    """The same trial after its evaluation."""
    found: dict[str, Any] = {
        "metrics": {
            "size_bytes": Metric(98304, "byte", ratio=12.6),
            "accuracy": Metric(0.988, "fraction", low=0.981, high=0.994, split="validation"),
        },
        "executed_as": {"stem.conv": "int8", "head.fc": "float32"},
        "artifact": ARTIFACT,
        "violates": {"accuracy_drop": 0.02},
        "seconds": 2.5,
    }
    return replace(running(number), state=state, **found | changes)


def progress(done: int, total: int = 3) -> Progress:
    """A job's progress after some trials."""
    return Progress(done, total, hypervolume=0.25 * done, elapsed_s=2.5 * done, expected_s=7.5)
