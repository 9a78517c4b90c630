"""Files that a finished search leaves: each is written aside and renamed, so it is whole or not there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from service import wording
from service.recipe_export import pick_trial, recipe_of
from service.views import JobView, trials_csv
from storage import ArtifactStore


def write_aside(path: Path, content: str) -> None:
    """Writes a text file whole."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(content, encoding="utf-8")
    aside.replace(path)


def export(view: JobView, artifacts: ArtifactStore, directory: Path) -> list[Path]:
    """Writes ``front.json``, ``trials.csv``, ``report.html``, and the chosen trial's recipe and artifact.

    Args:
        view: of a job.
        artifacts: where its files lie.
        directory: made if missing.

    Returns:
        The files written; without a completed trial the last two are missing.
    """
    directory.mkdir(parents=True, exist_ok=True)
    front = view.front_document()
    written = {
        "front.json": json.dumps(front, indent=2, ensure_ascii=False) + "\n",
        "trials.csv": "".join(trials_csv(view.trial(trial) for trial in view.trials)),
        "report.html": report(view, front),
    }
    if view.front.chosen is not None:
        trial = pick_trial(view, None)
        written["recipe.yaml"] = recipe_of(view, trial).to_yaml()
        assert trial.artifact is not None
        aside = directory / ".artifact.onnx.part"
        shutil.copyfile(artifacts.path(trial.artifact.digest), aside)
        aside.replace(directory / "artifact.onnx")
    for name, content in written.items():
        write_aside(directory / name, content)
    names = [*written, *(["artifact.onnx"] if view.front.chosen is not None else [])]
    return [directory / name for name in names]


def report(view: JobView, front: dict[str, Any]) -> str:
    """A page that needs nothing else: the front as a table and a scatter, what was asked, and every trial."""
    template = files("service").joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(
        job=view.job.to_dict(),
        front=front,
        trials=[view.trial(trial) for trial in view.trials],
        scatter=_scatter(view, front),
        value=wording.value,
        interval=wording.interval,
        gain=wording.gain,
        optimism=wording.optimism_note(front),
    )


def _scatter(view: JobView, front: dict[str, Any]) -> dict[str, Any] | None:
    """Completed trials in a box of 100 by 56: the first cost to the right, accuracy up; and its ends."""
    cost = next((name for name in front["objectives"] if name != "accuracy"), None)
    shown = [trial for trial in view.trials if cost in trial.metrics and "accuracy" in trial.metrics]
    if cost is None or not shown:
        return None
    x_of, y_of = (_scale([trial.value(name) for trial in shown]) for name in (cost, "accuracy"))
    members = {trial["trial"] for trial in front["trials"]}
    by_cost = sorted(shown, key=lambda trial: trial.value(cost))
    by_accuracy = sorted(shown, key=lambda trial: trial.value("accuracy"))
    return {
        "cost": cost,
        "left": wording.value(cost, by_cost[0].metrics[cost].to_dict()),
        "right": wording.value(cost, by_cost[-1].metrics[cost].to_dict()),
        "bottom": wording.value("accuracy", by_accuracy[0].metrics["accuracy"].to_dict()),
        "top": wording.value("accuracy", by_accuracy[-1].metrics["accuracy"].to_dict()),
        "points": [
            {
                "trial": trial.number,
                "x": 100 * x_of(trial.value(cost)),
                "y": 56 * (1 - y_of(trial.value("accuracy"))),
                "on_front": trial.number in members,
            }
            for trial in shown
        ],
    }


def _scale(values: list[float]) -> Callable[[float], float]:
    low, high = min(values), max(values)
    return lambda value: (value - low) / ((high - low) or 1.0)
