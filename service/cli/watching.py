"""Watching a job until it ends: a live bar on a terminal, a line for each trial elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from service.cli.output import err

LOOK_S: Final = 0.3
FINAL: Final = frozenset({"succeeded", "failed", "cancelled"})


def watch(
    look: Callable[[], dict[str, Any]],
    stage: Callable[[], str] = lambda: "",
    is_over: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Follows a job and returns it once it is final or paused.

    Args:
        look: reads the job.
        stage: what the worker is doing, if known.
        is_over: nobody works on the job any more, whatever its state.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("hypervolume {task.fields[hypervolume]:.3f}"),
        TextColumn("{task.fields[eta]}"),
    )
    job = look()
    with Progress(*columns, console=err, transient=False, disable=not err.is_terminal) as progress:
        task = progress.add_task("", total=None, hypervolume=0.0, eta="")
        told, said, since = -1, None, time.monotonic()
        while True:
            done, total = job["progress"]["trials"]["done"], job["progress"]["trials"]["total"]
            if done != told:
                since = time.monotonic()
                if not err.is_terminal and done > 0:
                    err.print(_line(job))
                told = done
            if job["state"] == "queued" and job["reason"] not in {None, said}:
                said = job["reason"]
                err.print(f"waiting: {said}", markup=False)
            progress.update(
                task,
                description=_describe(job, stage()),
                completed=done,
                total=total,
                hypervolume=job["progress"]["hypervolume"],
                eta=_eta(job, time.monotonic() - since),
            )
            if job["state"] in FINAL or job["state"] == "paused" or is_over():
                return job
            time.sleep(LOOK_S)
            job = look()


def _describe(job: dict[str, Any], stage: str) -> str:
    if job["state"] == "running" and job["progress"]["trials"]["done"] == 0:
        return stage or "preparing the reference"
    done, total = job["progress"]["trials"]["done"], job["progress"]["trials"]["total"]
    return "measuring the front" if job["state"] == "running" and done >= total else str(job["state"])


def _eta(job: dict[str, Any], since_s: float) -> str:
    progress = job["progress"]
    if job["state"] in FINAL:
        return f"{progress['elapsed_s']:.0f} s"
    if progress["expected_s"] is None:
        return "ETA unknown"
    left = max(progress["expected_s"] - progress["elapsed_s"] - since_s, 0.0)
    return f"ETA {left // 60:.0f}:{left % 60:02.0f}"


def _line(job: dict[str, Any]) -> str:
    progress = job["progress"]
    trials = progress["trials"]
    return (
        f"trial {trials['done']}/{trials['total']}  hypervolume {progress['hypervolume']:.3f}  "
        f"{progress['elapsed_s']:.0f} s  {_eta(job, 0.0)}"
    )
