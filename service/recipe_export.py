"""From a stored trial to its recipe, in Tauten's format or another tool's."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from recipes import CONVERTERS, Conversion, Recipe, convert
from search.job import Job
from search.trial import Trial, TrialState
from service.recipe_layers import stored_layers
from service.views import JobView
from spaces import Conflict, LayerInventory, metrics_from_dict
from storage import Store

VERSIONED: Final = ("tauten", "torch", "torch-pruning", "onnx", "onnxruntime", "numpy")

MEDIA_TYPES: Final = {
    ".yaml": "application/yaml",
    ".json": "application/json",
    ".md": "text/markdown",
    ".py": "text/x-python",
}
"""By a file's suffix."""


def pick_trial(view: JobView, number: int | None) -> Trial:
    """The trial to export: by number, else the front's chosen one.

    Raises:
        UnknownName: there is no such trial.
        Conflict: nothing has been completed yet, or the trial has no artifact.
    """
    wanted = view.front.chosen if number is None else number
    if wanted is None:
        raise Conflict(f"job {view.job.id} has no completed trial yet, so there is nothing to export")
    trial = view.find(wanted)
    if trial.artifact is None:
        raise Conflict(f"trial {wanted} has no artifact: {why_without_artifact(view.job, trial)}")
    return trial


def why_without_artifact(job: Job, trial: Trial) -> str:
    """Why a trial has no artifact, in words."""
    if trial.state is TrialState.COMPLETED:
        return f"the job keeps {job.keep} of its artifacts"
    return f"it is {trial.state}" + (f", {trial.reason}" if trial.reason else "")


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
        policy=trial.evaluated,
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


def convert_stored(recipe: Recipe, name: str, store: Store) -> Conversion:
    """A recipe in another format, by the layers that a worker has stored.

    Raises:
        Conflict: the layers are not stored.
    """
    if name == "tauten":  # says everything of every model
        return CONVERTERS[name].convert(recipe, LayerInventory(()))
    return convert(recipe, name, stored_layers(recipe, store))
