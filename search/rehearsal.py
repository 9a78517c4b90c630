"""A workload tried before a search: is its export faithful, its metric sane, and what does a search cost?"""

from __future__ import annotations

import copy
import itertools
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from compression.distillation import distilling
from compression.training import BATCH_SIZE, Plan, fit
from evaluators.accuracy import score
from evaluators.evaluator import Evaluator
from evaluators.reference import load_model
from evaluators.workloads.contract import Finding, check_contract
from search.anchors import anchors
from spaces import MeasurementError, Policy, Recovery, SearchSpace, SpaceRequest, TautenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from compression import Workload
    from evaluators.targets import Target
    from spaces import LayerInventory

SHUFFLES: Final = 5
STEPS: Final = 6
"""Of training that are timed; the first is left out."""

PROFILE_EVALUATIONS: Final = 5
"""What a small profile costs, in evaluations without training."""

ANCHORS_OF: Final = 3
"""A budget with one anchor, the most telling policy."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a search with the default recovery takes, at most: policies that prune train faster.

    Attributes:
        trials: of the search.
        evaluation_s: one policy compressed, deployed and measured, without training.
        epoch_s: one epoch of recovery at the reference's size.
        epochs: of recovery, a policy.
    """

    trials: int
    evaluation_s: float
    epoch_s: float
    epochs: float

    @property
    def search_s(self) -> float:
        """All trials one after another, and the profile."""
        trained = self.trials * (self.evaluation_s + self.epochs * self.epoch_s)
        return trained + PROFILE_EVALUATIONS * self.evaluation_s

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {**asdict(self), "search_s": self.search_s}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was found.

    Attributes:
        findings: in the order in which they were tried.
        cost: of a search, or ``None`` where none can be run.
    """

    findings: tuple[Finding, ...]
    cost: Cost | None

    @property
    def holds(self) -> bool:
        """A search can be run on it."""
        return self.cost is not None and all(finding.verdict != "fails" for finding in self.findings)


def rehearse(
    workload: Workload,
    target: Target,
    directory: Path,
    *,
    trials: int = 40,
    say: Callable[[str], None] = lambda stage: None,
) -> Rehearsal:
    """Tries the whole contract of a workload, up to one evaluation on a target.

    What cannot be tried after a failure is left out. Trains nothing but a few steps on a copy.

    Args:
        workload: the user's.
        target: measured on this host, or modelled.
        directory: for artifacts; made if missing.
        trials: of the search whose cost is told.
        say: told what is being done.

    Raises:
        MeasurementError: the host lacks what a measured target requires.
    """
    findings: list[Finding] = []
    say("loading the model (a first use may train it)")
    try:
        model = load_model(workload)
    except TautenError as error:
        return Rehearsal((Finding("model", "fails", str(error)),), None)
    say("reading the splits")
    findings += check_contract(workload, model)
    if any(finding.verdict == "fails" for finding in findings):
        return Rehearsal(tuple(findings), None)
    say(f"exporting, and measuring on {target.name}")
    try:
        evaluator = Evaluator(workload, target, directory)
    except MeasurementError:
        raise
    except TautenError as error:
        return Rehearsal((*findings, Finding("export", "fails", str(error))), None)
    with evaluator:
        findings += [_export(evaluator), _metric(evaluator)]
        try:
            inventory = evaluator.inventory(None)
        except TautenError as error:
            return Rehearsal((*findings, Finding("layers", "fails", str(error))), None)
        space = SearchSpace.build(SpaceRequest(), {None: inventory}, target.capabilities)
        findings.append(_layers(inventory))
        say("evaluating one policy")
        cost = _cost(evaluator, space, trials, findings)
    return Rehearsal(tuple(findings), cost)


def _export(evaluator: Evaluator) -> Finding:
    metrics = evaluator.reference.metrics
    size, latency = metrics["size_bytes"].value, metrics["latency_ms"].value
    detail = f"its fp32 file computes what PyTorch does; {size / 1e6:.2f} MB, {latency:.3g} ms a call"
    return Finding("export", "holds", f"{detail} on {evaluator.target.name}")


def _metric(evaluator: Evaluator) -> Finding:
    """Higher is better: right targets score above shuffled ones."""
    workload = evaluator.workload
    outputs, targets = evaluator.reference.predictions(workload, "validation")
    value = score(workload, outputs, targets)
    generator = np.random.default_rng(0)
    shuffled = max(
        score(workload, outputs, targets[generator.permutation(len(targets))]) for _ in range(SHUFFLES)
    )
    found = f"{value:.4g} on validation, {shuffled:.4g} where its targets are shuffled"
    if value <= shuffled:
        return Finding("metric", "fails", f"{found}: the metric must be higher where the model is better")
    if not 0 <= value <= 1:
        detail = f"{found}: outside of 0 to 1, so intervals and searches work less well; a share is better"
        return Finding("metric", "warns", detail)
    return Finding("metric", "holds", found)


def _layers(inventory: LayerInventory) -> Finding:
    groups = [group for group in inventory.groups if group.fixed_because is None]
    detail = f"{len(inventory.layers)} that can be quantized, {len(groups)} groups that can be pruned"
    return Finding("layers", "holds" if groups else "warns", detail)


def _cost(evaluator: Evaluator, space: SearchSpace, trials: int, findings: list[Finding]) -> Cost | None:
    policy = space.policy(anchors(space, ANCHORS_OF)[0])
    recovery = policy.recovery or Recovery()
    outcome, _ = evaluator.evaluate(Policy(policy.student, policy.layers))
    if outcome.status != "completed":
        findings.append(Finding("evaluation", "fails", f"{outcome.status}: {outcome.reason}"))
        return None
    epoch_s = _epoch_s(evaluator, recovery)
    speedup, ratio = outcome.metrics["latency_ms"].speedup, outcome.metrics["size_bytes"].ratio
    drop = outcome.metrics["accuracy_drop"].value
    detail = f"{speedup:.2f}x faster, {ratio:.2f}x smaller, {drop:+.4f} lost, without training"
    findings.append(Finding("evaluation", "holds", f"the first policy of a search: {detail}"))
    return Cost(trials, outcome.seconds, epoch_s, recovery.epochs)


def _epoch_s(evaluator: Evaluator, recovery: Recovery) -> float:
    """Seconds of an epoch of recovery, from a few steps on a copy of the reference."""
    workload, reference = evaluator.workload, evaluator.reference.model
    steps = sum(1 for _ in workload.batches("train", BATCH_SIZE))
    model = copy.deepcopy(reference)
    moments: list[float] = []
    plan = Plan.of(recovery, seed=evaluator.seed, epochs=min(STEPS, steps) / steps)
    objective = distilling(workload, recovery.distill, reference, model)
    fit(model, workload, objective, plan, report=lambda share: moments.append(time.monotonic()))
    taken = [after - before for before, after in itertools.pairwise(moments)]
    return steps * float(np.median(taken)) if taken else 0.0
