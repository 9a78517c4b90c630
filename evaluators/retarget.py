"""A finished job's candidates on another target: the same artifacts, scored again, and nothing trained.

What a file computes does not change with the target, unless another runtime or another CPU executes it: where
both are the same and every layer runs in the same kernel, accuracy is taken over, else it is evaluated again.
Latency is always the new target's, sizes are the file's.

A candidate was shaped for the target that it was searched on: channel counts are multiples of that target's,
int8 weights of as many bits. It is what ships, so it is scored as it is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from compression import Artifact
from evaluators.outcome import ArtifactRef, Outcome
from spaces import DeploymentError, Metrics, Policy, TautenError, WorkloadError, metrics_from_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from evaluators.evaluator import Evaluator

TOGETHER: Final = 12
"""Candidates of one joint measurement: a round of more takes so long that quiet ones become rare."""

NUMERICS: Final = ("cpu", "machine", "vnni", "runtime")
"""Of a fingerprint: what the outputs of an artifact hang on. Threads and batch change the time alone."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A finished trial.

    Attributes:
        policy: that it evaluated.
        artifact: its file.
        executed_as: what its layers ran as.
        metrics: that were found.
    """

    policy: Policy
    artifact: Path
    executed_as: Mapping[str, str]
    metrics: Metrics

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], artifact: Path) -> Candidate:
        """Reads ``policy``, ``executed_as`` and ``metrics`` of a trial's JSON form."""
        return cls(
            Policy.from_dict(document["policy"]),
            artifact,
            dict(document["executed_as"]),
            metrics_from_dict(document["metrics"]),
        )


def retarget(
    evaluator: Evaluator,
    candidates: Mapping[str, Candidate],
    provenance: Mapping[str, Any],
    report: Callable[[float], None] = lambda share: None,
) -> dict[str, Outcome]:
    """Scores candidates of a finished job on the evaluator's target.

    Args:
        evaluator: of the job's workload on the other target.
        candidates: by a name under which results come back; trials that completed.
        provenance: of the job, see `Evaluator.provenance`.
        report: told the share that is done.

    Returns:
        For each candidate ``completed``, or ``infeasible`` with the reason where the target cannot run the
        artifact as its policy says. Sizes, memory, latency and accuracy are found anew or taken over as the
        module says; MACs are the artifact's. Speed-ups and ratios are against the target's own reference.

    Raises:
        WorkloadError: the workload's model or data are not those of the job.
        MeasurementError: latency cannot be measured here.
    """
    _check_workload(evaluator, provenance)
    same_host = _same_numerics(evaluator, provenance)
    outcomes = {
        name: _admitted(evaluator, candidate, is_same_host=same_host)
        for name, candidate in _reported(candidates, report)
    }
    runs = [name for name, outcome in outcomes.items() if outcome.status == "completed"]
    waiting = iter(runs)
    while names := list(islice(waiting, TOGETHER)):
        latencies = evaluator.latencies({name: candidates[name].artifact for name in names})
        for name in names:
            metrics = {**outcomes[name].metrics, "latency_ms": latencies[name]}
            outcomes[name] = replace(outcomes[name], metrics=metrics)
    report(1.0)
    return outcomes


def _admitted(evaluator: Evaluator, candidate: Candidate, *, is_same_host: bool) -> Outcome:
    """Everything but latency."""
    started = time.monotonic()
    artifact = Artifact.at(candidate.artifact)
    found: Metrics = {}
    executed: dict[str, str] = {}
    try:
        executed |= evaluator.executed(candidate.artifact)
        layers = [
            layer
            for layer in evaluator.inventory(candidate.policy.student).layers
            if layer.name in candidate.executed_as  # the others were removed
        ]
        evaluator.check(executed, candidate.policy, layers)
        found |= evaluator.stored(candidate.artifact)
        if "macs" in candidate.metrics:
            found["macs"] = candidate.metrics["macs"]
        if is_same_host and executed == dict(candidate.executed_as):
            method = evaluator.accuracy_method(candidate.artifact)
            found |= {
                name: replace(candidate.metrics[name], method=method)
                for name in ("accuracy", "accuracy_drop")
            }
        else:
            found |= evaluator.accuracies(candidate.artifact)
    except DeploymentError as error:
        return Outcome("infeasible", str(error), found, executed, seconds=time.monotonic() - started)
    except TautenError as error:
        return Outcome("failed", str(error), found, executed, seconds=time.monotonic() - started)
    reference = ArtifactRef(artifact.digest, artifact.size_bytes)
    return Outcome("completed", None, found, executed, reference, time.monotonic() - started)


def _check_workload(evaluator: Evaluator, provenance: Mapping[str, Any]) -> None:
    now, then = evaluator.provenance()["workload"], provenance["workload"]
    for part in ("name", "model", "data"):
        if now[part] != then[part]:
            raise WorkloadError(
                f"the job's candidates belong to another {part} of workload {then['name']!r} "
                f"({then[part]}, now {now[part]}); search again on the new target"
            )


def _same_numerics(evaluator: Evaluator, provenance: Mapping[str, Any]) -> bool:
    now, then = evaluator.provenance()["target"]["fingerprint"], provenance["target"]["fingerprint"]
    return all(now[part] == then.get(part) for part in NUMERICS)


def _reported(
    candidates: Mapping[str, Candidate], report: Callable[[float], None]
) -> Iterator[tuple[str, Candidate]]:
    for index, item in enumerate(candidates.items()):
        report(0.5 * index / len(candidates))
        yield item
