"""A search on a ladder of fidelities against one at full fidelity alone, for the same compute.

The digits CNN is pruned for real, recovered for real by distillation, and its weights are rounded. A policy
is evaluated once at a fidelity and kept in a table under the cache directory, so that searches share what
they ask for. A fidelity costs the median CPU time of all evaluations at it, whoever asked for them.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.search.comparing import interval
from benchmarks.table import Row
from search.engine import Engine
from search.guidance import Guidance
from search.pareto import hypervolume
from search.profile import Profile, offers
from search.spec import Budget, JobSpec
from search.trial import Outcome, Trial
from spaces import Bits, Capabilities, Kernel, Metric, Recovery, SearchSpace, SpaceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from evaluators.evaluator import Evaluator
    from spaces import Metrics, Policy

RATIOS: Final = (0.0, 0.25, 0.5, 0.75, 0.875)
BITS: Final = (8, 6, 4, 3, 2)
EPOCHS: Final = 4.0
OBJECTIVES: Final = ("accuracy", "size_bytes", "macs")
TRIALS: Final = 20
LEAST: Final = 1.5

Step = tuple[float, float]
"""The fidelity of a trial, and the hypervolume of the full ones after it."""


class RecoveredDigits:
    """The network's layers and groups as a space of policies that are all recovered.

    Args:
        scratch: a directory for the reference's file.
    """

    def __init__(self, scratch: Path) -> None:
        import torch

        from evaluators.cache import cache_root
        from evaluators.evaluator import Evaluator
        from evaluators.offer import Offer
        from evaluators.reference import workload_digests
        from evaluators.sensitivity import measure_profile
        from evaluators.targets import find_target
        from evaluators.workloads.digits_cnn import DigitsCnn

        torch.set_num_threads(1)
        with Evaluator(DigitsCnn(), find_target("local-cpu"), scratch) as evaluator:
            self._evaluator: Evaluator = evaluator
            inventory = evaluator.inventory(None)
            request = SpaceRequest(
                students=(None,),
                ratios=RATIOS,
                bits=tuple(Bits(width, 32) for width in BITS),
                recovery=(Recovery(EPOCHS),),
            )
            kernels = tuple(Kernel("*", width, 32, "none", "simulated") for width in BITS)
            self.space = SearchSpace.build(request, {None: inventory}, Capabilities(kernels))
            read = [Offer.from_dict(offer) for offer in offers(self.space)]
            measured = measure_profile(evaluator, read, "small", lambda share: None)
        document = {"schema": "tauten.profile/1", "key": "digits", "kind": "small", **measured}
        accuracy = evaluator.reference.metrics["accuracy"]
        self.reference: Metrics = {
            "accuracy": accuracy,
            "size_bytes": Metric(4 * sum(layer.parameters for layer in inventory.layers), "byte"),
            "macs": Metric(sum(layer.macs for layer in inventory.layers), "mac"),
        }
        self.guidance = Guidance(Profile.from_dict(document), self.reference, {None: inventory})
        digest = workload_digests(evaluator.workload, evaluator.reference.model)["model"]
        path = cache_root() / digest.removeprefix("sha256:")[:16]
        path.mkdir(parents=True, exist_ok=True)
        self._path = path / "search-recovered.jsonl"
        self._table: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                entry = json.loads(line)
                self._table[entry["policy"]] = entry

    def evaluate(self, trial: Trial) -> Trial:
        """The trial with its results; what it cost is known from `seconds`."""
        digest = trial.evaluated.digest
        if digest not in self._table:
            started = time.process_time()
            found = self._scored(trial.evaluated)
            seconds = time.process_time() - started
            known = {"policy": digest, "fidelity": trial.fidelity, "seconds": seconds}
            self._table[digest] = known | found
            with self._path.open("a") as lines:
                lines.write(json.dumps(self._table[digest]) + "\n")
        entry = self._table[digest]
        metrics = {
            "accuracy": Metric(entry["accuracy"], "fraction", split="validation"),
            "size_bytes": Metric(entry["size_bytes"], "byte"),
            "macs": Metric(entry["macs"], "mac"),
        }
        return trial.ended(Outcome("completed", metrics=metrics, seconds=entry["seconds"]), {})

    def seconds(self) -> dict[float, float]:
        """Median CPU time of an evaluation, by fidelity."""
        times = defaultdict(list)
        for entry in self._table.values():
            times[entry["fidelity"]].append(entry["seconds"])
        return {fidelity: float(np.median(known)) for fidelity, known in sorted(times.items())}

    def _scored(self, policy: Policy) -> dict[str, float]:
        from compression import evaluating, list_layers, main_output, shape
        from compression.distillation import distilling
        from compression.training import Plan, fit
        from evaluators.rounding import round_layers

        workload, model = self._evaluator.workload, self._evaluator.reference.model
        shaped = shape(workload, model, policy, deployment=self._evaluator.deployment, seed=0).model
        recovery = policy.recovery
        assert recovery is not None
        if recovery.epochs:
            objective = distilling(workload, recovery.distill, model, shaped)
            fit(shaped, workload, objective, Plan.of(recovery, seed=0))
        layers = list_layers(shaped, workload.example_inputs())
        widths = {name: part.weight.bits for name, part in policy.layers.items() if part.weight}
        rounded = round_layers(shaped, widths)
        outputs: list[Any] = []
        targets: list[Any] = []
        with evaluating(rounded):
            for inputs, labels in workload.batches("validation", 300):
                outputs.append(main_output(rounded(*inputs)).numpy())
                targets.append(labels.numpy())
        return {
            "accuracy": workload.metric(np.concatenate(outputs), np.concatenate(targets)),
            "size_bytes": sum(layer.parameters * widths.get(layer.name, 32) / 8 for layer in layers),
            "macs": sum(layer.macs for layer in layers),
        }


def play(digits: RecoveredDigits, sampler: str, fidelity: str, trials: int, seed: int) -> list[Step]:
    """One search by the engine that jobs use; its budget is counted as theirs is."""
    spec = JobSpec(
        "digits-cnn",
        objectives=OBJECTIVES,
        sampler=sampler,
        budget=Budget(trials),
        seed=seed,
        fidelity=fidelity,
    )
    engine = Engine(digits.space, spec, guidance=digits.guidance)
    spent, volume = 0.0, 0.0
    full: list[Trial] = []
    steps: list[Step] = []
    while spent < trials - 1e-9:
        trial = digits.evaluate(engine.ask(trials - spent))
        engine.tell(trial)
        spent += trial.charge
        if trial.fidelity == 1:
            full.append(replace(trial, sampler_state={}))
            volume = hypervolume(full, OBJECTIVES, digits.reference)
        steps.append((trial.fidelity, volume))
    return steps


def fidelity_rows(scratch: Path, seeds: Sequence[int], *, quick: bool) -> Iterator[Row]:
    """What the ladder saves, for the default sampler and for random search."""
    digits = RecoveredDigits(scratch)
    trials = TRIALS // 2 if quick else TRIALS
    samplers = ("guided",) if quick else ("guided", "random")
    runs = {
        (sampler, fidelity): [play(digits, sampler, fidelity, trials, seed) for seed in seeds]
        for sampler in samplers
        for fidelity in ("full", "ladder")
    }
    costs = digits.seconds()
    shown = ", ".join(f"{fidelity:g}: {seconds:.2f} s" for fidelity, seconds in costs.items())
    yield Row("recovered digits-cnn: CPU time of an evaluation, by fidelity", "", shown)
    for sampler in samplers:
        full, ladder = (runs[sampler, fidelity] for fidelity in ("full", "ladder"))
        for name, own in (("full fidelity alone", full), ("ladder", ladder)):
            values = [run[-1][1] for run in own]
            spent = np.median([sum(costs[fidelity] for fidelity, _ in run) for run in own])
            yield Row(
                f"recovered digits-cnn: {sampler}, {name}, hypervolume after {spent:.0f} s",
                "",
                f"{np.median(values):.4f}",
                interval(values),
            )
        gains = [
            seconds_to(one, other[-1][1], costs) / seconds_to(other, other[-1][1], costs)
            for one, other in zip(ladder, full, strict=True)
        ]
        faster = [0.0 if np.isinf(gain) else 1 / gain for gain in gains]
        median = float(np.median(faster))
        yield Row(
            f"recovered digits-cnn: {sampler}, ladder, times fewer seconds to full fidelity's hypervolume",
            f"at least {LEAST:g}",
            f"{median:.2f}" if median else "never reached",
            f"seeds {', '.join(f'{value:.2f}' for value in faster)}",
            median >= LEAST,
        )


def seconds_to(steps: Sequence[Step], level: float, costs: dict[float, float]) -> float:
    """CPU seconds until a hypervolume is reached; infinite where it never is."""
    spent = 0.0
    for fidelity, volume in steps:
        spent += costs[fidelity]
        if volume >= level:
            return spent
    return float("inf")
