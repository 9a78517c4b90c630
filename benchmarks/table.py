"""The rows that every benchmark prints: what was expected, what was measured, and whether it holds."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PACKAGES: Final = ("torch", "onnxruntime", "torch-pruning", "transformers", "optuna")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a benchmark.

    Attributes:
        what: is measured, with its setting.
        bar: what is expected, in words; empty where a number is only reported.
        measured: the number, with its unit.
        interval: or spread over seeds; empty where there is none.
        holds: whether the bar is met; ``None`` where there is no bar.
        is_ours: the product promises it; else it is somebody's published claim, tried here.
    """

    what: str
    bar: str
    measured: str
    interval: str = ""
    holds: bool | None = None
    is_ours: bool = True

    @property
    def verdict(self) -> str:
        """In one word."""
        return {True: "holds", False: "fails", None: "reported"}[self.holds]


def surroundings() -> dict[str, Any]:
    """Date, machine and versions, for whoever quotes a table."""
    from evaluators.targets import cpu

    name, flags = cpu()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": name,
        "vnni": bool(flags & {"avx512_vnni", "avx_vnni"}),
        "python": platform.python_version(),
        **{package: version(package) for package in PACKAGES},
    }


def print_rows(title: str, rows: Sequence[Row]) -> None:
    """A table on standard output."""
    table = Table(title=title, title_justify="left")
    for column in ("what", "bar", "measured", "interval", "holds"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.what, row.bar, row.measured, row.interval, row.verdict)
    Console(width=140).print(table)


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """The rows and their surroundings as JSON, written aside and renamed."""
    aside = path.with_name(f".{path.name}")
    document = {"surroundings": surroundings(), "rows": [asdict(row) for row in rows]}
    aside.write_text(json.dumps(document, indent=2) + "\n")
    aside.replace(path)


def exit_code(rows: Sequence[Row]) -> int:
    """1 where a bar that is ours is not met; a published claim that fails is a finding, not a fault."""
    return int(any(row.holds is False and row.is_ours for row in rows))
