"""A trained network as a problem: its space as jobs build it, evaluated for real without retraining."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.search.evaluations import Evaluations
from benchmarks.search.tasks import TASKS, WEIGHTS_ALONE
from compression import Deployment
from evaluators.cache import cache_root
from evaluators.offer import Offer
from search.anchors import anchors
from search.guidance import Guidance, guided_problem
from search.profile import SCHEMA, Profile, offers
from search.spec import JobSpec
from spaces import STUDENT_AXIS, Metric, SearchSpace, digest_of

if TYPE_CHECKING:
    from benchmarks.search.network import TrainedNetwork
    from search.profile import StudentProfile
    from search.samplers.guided import Problem
    from spaces import LayerInventory, Student

VERSION: Final = 1
"""Counts up when an evaluation changes, so that kept ones of an older kind are not taken."""

PROFILED: Final = 128
"""Examples of one pass of the small profile."""

OBJECTIVES: Final = ("accuracy", "size_bytes", "latency_ms")


class Trained:
    """One real problem, the same for all seeds.

    Args:
        name: of `benchmarks.search.tasks.TASKS`.
    """

    def __init__(self, name: str) -> None:
        from benchmarks.search.network import TrainedNetwork
        from evaluators.reference import workload_digests

        self.name, self._task = name, TASKS[name]
        self.network: TrainedNetwork = TrainedNetwork(self._task, WEIGHTS_ALONE.channel_multiple)
        self._inventories: dict[Student | None, LayerInventory] = {None: self.network.inventory}
        self._space = SearchSpace.build(self._task.request, self._inventories, WEIGHTS_ALONE)
        axes = [self._space.student_axis, *self._space.students[0].axes]
        self.axes = {axis.name: len(axis.choices) for axis in axes}
        self.anchors = [self._place(point) for point in anchors(self._space, 200)]
        key = {
            "version": VERSION,
            "model": workload_digests(self.network.workload, self.network.model)["model"],
            "offers": offers(self._space),
            "examples": self._task.examples,
        }
        directory = cache_root() / digest_of(key).removeprefix("sha256:")[:16]
        self.key, self._evaluations = directory.name, Evaluations(directory / "search-evaluations.jsonl")
        self.best, self._whole = self._reference("validation")
        self._profile = self._measured(directory / "search-profile.json")
        self.charge = math.ceil(self._profile.passes * PROFILED / self._task.whole)

    def evaluate(self, point: tuple[int, ...], split: str = "validation") -> tuple[float, ...]:
        """Accuracy on examples of a split; bytes and modelled milliseconds, relative to the reference's."""
        policy = self._space.policy(dict(zip(self.axes, point, strict=True)))

        def values() -> tuple[float, ...]:
            accuracy, (size, latency) = self.network.accuracy(policy, split)
            return accuracy, size / self._whole[0], latency / self._whole[1]

        return self._evaluations.get(f"{split}:{policy.digest}", values)

    def reference(self, split: str) -> float:
        """Accuracy of the network as it is."""
        return self._reference(split)[0]

    def problem(self, profile: str) -> Problem:
        """What a job would tell the sampler: ``good`` is the small profile as it was measured."""
        known = None
        if profile != "none":
            student = self._profile if profile == "good" else _shuffled(self._profile)
            known = Profile("", "small", (student,), 0.0)
        metrics = {"accuracy": Metric(self.best, "fraction")}
        metrics |= {name: Metric(1.0, "share") for name in OBJECTIVES[1:]}
        spec = JobSpec(self.name, objectives=OBJECTIVES, space=self._task.request)
        return guided_problem(self._space, spec, Guidance(known, metrics, self._inventories))

    def _reference(self, split: str) -> tuple[float, tuple[float, float]]:
        def values() -> tuple[float, ...]:
            accuracy, costs = self.network.accuracy(None, split)
            return accuracy, *costs

        accuracy, size, latency = self._evaluations.get(f"{split}:reference", values)
        return accuracy, (size, latency)

    def _place(self, point: Any) -> tuple[int, ...]:
        return tuple(point[name] for name in (STUDENT_AXIS, *list(self.axes)[1:]))

    def _measured(self, path: Any) -> StudentProfile:
        """By the measurement that jobs use; kept, as theirs are."""
        if not path.exists():
            from evaluators.sensitivity import measure_profile

            network = self.network
            evaluator: Any = SimpleNamespace(
                workload=network.workload,
                reference=SimpleNamespace(model=network.model),
                deployment=Deployment(WEIGHTS_ALONE.channel_multiple),
                seed=0,
            )
            offered = [Offer.from_dict(offer) for offer in offers(self._space)]
            found = measure_profile(evaluator, offered, "small", lambda share: None)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"schema": SCHEMA, "key": self.name, "kind": "small", **found}))
        return Profile.from_dict(json.loads(path.read_text())).students[0]


def _shuffled(profile: StudentProfile) -> StudentProfile:
    """The same numbers at other places."""
    draw = np.random.default_rng(23)

    def moved(rows: dict[str, tuple[float, ...]]) -> dict[str, tuple[float, ...]]:
        names = list(rows)
        return {name: rows[names[at]] for name, at in zip(names, draw.permutation(len(names)), strict=True)}

    return replace(profile, ratios=moved(dict(profile.ratios)), bits=moved(dict(profile.bits)))
