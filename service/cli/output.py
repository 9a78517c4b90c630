"""What commands print: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from contextlib import AbstractContextManager, redirect_stdout
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from service.wording import gain, interval, value

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
CONSTRAINTS_UNMET: Final = 3

AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output; all else on standard error.")
]

PIPED_WIDTH: Final = 120
"""A table that goes to a file or a pipe is not cut to the 80 columns that Rich assumes there."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True, highlight=False)


def printing_aside() -> AbstractContextManager[Any]:
    """While a user's own code runs in this process: what it prints goes to standard error."""
    return redirect_stdout(sys.stderr)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def front_table(front: dict[str, Any]) -> Table:
    """A front as a table: accuracy with its interval, costs with their gain over the reference."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("trial", "accuracy", "95 %", "drop", "test", "latency", "speed", "size", "ratio", ""):
        table.add_column(name, justify="left" if name == "" else "right", no_wrap=True)
    reference = front["reference"]
    if reference["metrics"]:
        table.add_row(
            *_row("ref", reference["metrics"], reference.get("accuracy_test"), "uncompressed"), style="dim"
        )
    for trial in front["trials"]:
        is_chosen = trial["trial"] == front["chosen"]
        marks = [word for word, holds in (("chosen", is_chosen), ("knee", trial["is_knee"])) if holds]
        again = trial["metrics"].get("accuracy_drop", {}).get("again")
        if again is not None:
            marks.append(f"{100 * again:.2f} pts trained again")
        if trial["violates"]:
            marks.append("breaks " + ", ".join(trial["violates"]))
        cells = _row(str(trial["trial"]), trial["metrics"], trial.get("accuracy_test"), ", ".join(marks))
        table.add_row(*cells, style="bold green" if is_chosen else None)
    return table


def methods_note(front: dict[str, Any]) -> str | None:
    """What of a front's numbers is not measured, in a sentence for a person; ``None`` where all are."""
    metrics = [trial["metrics"] for trial in front["trials"]] or [front["reference"]["metrics"]]
    notes = []
    latencies = [found["latency_ms"] for found in metrics if "latency_ms" in found]
    if any(item["method"] == "modelled" for item in latencies):
        is_calibrated = all(item.get("calibrated") for item in latencies)
        how = "fitted to measurements" if is_calibrated else "uncalibrated: trust ratios before milliseconds"
        notes.append(f"latency is modelled from the target's figures ({how})")
    if any(found["accuracy"]["method"] == "simulated" for found in metrics if "accuracy" in found):
        notes.append("accuracy is simulated: this machine has no kernel for the target's bits")
    return "; ".join(notes) or None


def _row(name: str, metrics: dict[str, Any], test: dict[str, Any] | None, marks: str) -> list[str]:
    accuracy, latency, size = (metrics.get(metric) for metric in ("accuracy", "latency_ms", "size_bytes"))
    return [
        name,
        value("accuracy", accuracy),
        interval(accuracy),
        value("accuracy_drop", metrics.get("accuracy_drop")),
        value("accuracy", test),
        value("latency_ms", latency),
        gain(latency),
        value("size_bytes", size),
        gain(size),
        marks,
    ]
