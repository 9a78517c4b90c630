"""From a stored trial to its recipe."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from recipes import Recipe
from search.trial import Trial
from service.views import JobView
from spaces import Conflict, UnknownName, metrics_from_dict

VERSIONED: Final = ("tauten", "torch", "torch-pruning", "onnx", "onnxruntime", "numpy")


def pick_trial(view: JobView, number: int | None) -> Trial:
    """The trial to export: by number, else the front's chosen one.

    Raises:
        UnknownName: there is no such trial.
        Conflict: nothing has been completed yet, or the trial has no artifact.
    """
    wanted = view.front.chosen if number is None else number
    if wanted is None:
        raise Conflict(f"job {view.job.id} has no completed trial yet, so there is nothing to export")
    trial = next((trial for trial in view.trials if trial.number == wanted), None)
    if trial is None:
        raise UnknownName("trial", str(wanted))
    if trial.artifact is None:
        raise Conflict(
            f"trial {wanted} is {trial.state} and has no artifact: {trial.reason or 'it has not ended'}"
        )
    return trial


def recipe_of(view: JobView, trial: Trial) -> Recipe:
    """The recipe of a completed trial.

    Raises:
        Conflict: the trial has no artifact.
    """
    if trial.artifact is None:
        raise Conflict(f"trial {trial.number} has no artifact")
    provenance = view.job.reference["provenance"]
    claims = dict(trial.metrics)
    extra = view.extras.get(trial.number, {})
    if "accuracy_test" in extra:
        claims |= metrics_from_dict({"accuracy_test": extra["accuracy_test"]})
    return Recipe(
        policy=trial.policy,
        workload=provenance["workload"],
        target=provenance["target"],
        deployment=provenance["deployment"],
        seed=view.job.spec.seed,
        versions={name: version(name) for name in VERSIONED},
        claims=claims,
        reference=metrics_from_dict(view.job.reference["metrics"]),
        artifact={"digest": trial.artifact.digest, "size_bytes": trial.artifact.size_bytes},
        origin={"job": view.job.id, "trial": trial.number},
    )
