"""Runs the product's own search as a user does, in a directory from which it is taken up again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.headline.bars import LOST, Bar

if TYPE_CHECKING:
    from collections.abc import Mapping

UNMET: Final = 3
INTERRUPTED: Final = 130
USEFUL_S: Final = 600.0
"""The front is to be useful after ten minutes."""


@dataclass(frozen=True, slots=True)
class Search:
    """A search of one seed, finished or not.

    Attributes:
        directory: of its results.
        is_finished: its budget is spent, so that the front was measured again and tested.
        done: trials.
        elapsed_s: seconds that it ran, over all slices.
        front: as `front.json` has it.
        steps: the way of the hypervolume: seconds of evaluation and value after each trial.
    """

    directory: Path
    is_finished: bool
    done: int
    elapsed_s: float
    front: Mapping[str, Any]
    steps: tuple[tuple[float, float], ...]

    @property
    def useful_share(self) -> float | None:
        """Share of the final hypervolume that was there after ten minutes; ``None`` where there is none."""
        if not self.steps or self.steps[-1][1] <= 0:
            return None
        early = [value for seconds, value in self.steps if seconds <= USEFUL_S]
        return (early[-1] if early else 0.0) / self.steps[-1][1]

    def best(self, bar: Bar) -> Mapping[str, Any] | None:
        """The front trial within a point on validation that comes nearest to the bar; its metrics."""
        allowed = [
            trial for trial in self.front["trials"] if trial["metrics"]["accuracy_drop"]["value"] <= LOST
        ]
        return max(allowed, key=lambda trial: bar.closeness(*gains(trial)), default=None)


def gains(trial: Mapping[str, Any]) -> tuple[float, float]:
    """Speed-up and size ratio of a trial."""
    metrics = trial["metrics"]
    return float(metrics["latency_ms"]["speedup"]), float(metrics["size_bytes"]["ratio"])


def search(
    bar: Bar, seed: int, store: Path, slice_s: float | None = None, fidelity: str = "full"
) -> Search | None:
    """Begins a search or takes it up again, until it is finished or the slice is over.

    Args:
        bar: gives the job.
        seed: of the search.
        store: a directory for all searches; kept between calls.
        slice_s: seconds after which it is stopped in order; what finished is kept.
        fidelity: of the job.

    Returns:
        What is known by then; ``None`` where no trial has ended.

    Raises:
        RuntimeError: the search failed; the message is its own.
    """
    directory = store / f"{bar.workload}-{bar.trials}-{fidelity}-{seed}"
    directory.mkdir(parents=True, exist_ok=True)
    space = directory / "space.json"
    space.write_text(json.dumps(bar.space))
    command = [sys.executable, "-m", "tauten", "search", bar.workload, "--out", str(directory)]
    command += ["--trials", str(bar.trials), "--wall-s", str(bar.wall_s), "--space", str(space)]
    command += ["--max-accuracy-drop", str(LOST), "--seed", str(seed)]
    command += ["--fidelity", fidelity, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            printed, _ = process.communicate(timeout=slice_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            printed, _ = process.communicate()
    if process.returncode not in {0, UNMET, INTERRUPTED} or not printed:
        raise RuntimeError(f"the search in {directory} ended with {process.returncode}; its reason is above")
    return read(directory, json.loads(printed))


def read(directory: Path, document: Mapping[str, Any]) -> Search | None:
    """What a search printed, with the way of its hypervolume from its database."""
    from service.settings import Settings
    from storage import Database, Results

    job = document["job"]
    if not document["front"]["trials"]:
        return None
    settings = Settings.load(data_dir=directory / ".tauten", environ={}, directory=None)
    database = Database(settings.database_url)
    try:
        steps = Results(database).steps(job["id"])
    finally:
        database.close()
    return Search(
        directory,
        job["state"] == "succeeded",
        job["progress"]["trials"]["done"],
        job["progress"]["elapsed_s"],
        document["front"],
        tuple((step["elapsed_s"], step["hypervolume"]) for step in steps),
    )
