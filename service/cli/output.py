"""What commands print: tables for people, one JSON document for programs."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2
CONSTRAINTS_UNMET: Final = 3

AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output; all else on standard error.")
]

PIPED_WIDTH: Final = 110
"""A table that goes to a file or a pipe is not cut to the 80 columns that Rich assumes there."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def front_table(front: dict[str, Any]) -> Table:
    """A front as a table: accuracy with its interval, costs with their gain over the reference."""
    table = Table(title=None, box=None, pad_edge=False, header_style="bold")
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
        if trial["violates"]:
            marks.append("violates " + ", ".join(trial["violates"]))
        cells = _row(str(trial["trial"]), trial["metrics"], trial.get("accuracy_test"), ", ".join(marks))
        table.add_row(*cells, style="bold green" if is_chosen else None)
    return table


def size(size_bytes: float) -> str:
    """Bytes in decimal units."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if size_bytes >= step:
            return f"{size_bytes / step:.3g} {unit}"
    return f"{size_bytes:.0f} B"


def _row(name: str, metrics: dict[str, Any], test: dict[str, Any] | None, marks: str) -> list[str]:
    accuracy, latency, bytes_ = metrics.get("accuracy"), metrics.get("latency_ms"), metrics.get("size_bytes")
    drop = metrics.get("accuracy_drop")
    return [
        name,
        f"{100 * accuracy['value']:.2f} %" if accuracy else "",
        f"{100 * accuracy['low']:.1f}-{100 * accuracy['high']:.1f}" if accuracy and "low" in accuracy else "",
        f"{100 * drop['value']:.2f}" if drop else "",
        f"{100 * test['value']:.2f} %" if test else "",
        f"{latency['value']:.4g} ms" if latency else "",
        f"{latency['speedup']:.2f}x" if latency and latency.get("speedup") else "",
        size(bytes_["value"]) if bytes_ else "",
        f"{bytes_['ratio']:.2f}x" if bytes_ and bytes_.get("ratio") else "",
        marks,
    ]
