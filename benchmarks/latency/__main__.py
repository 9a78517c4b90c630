"""``python -m benchmarks.latency [--quick] [--seed N] [--json FILE]``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.table import Row, exit_code, print_rows, surroundings, write_rows

app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer runs, the same bars.")] = False,
    seed: Annotated[int, typer.Option(help="Of the orders of calls.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file as well.")] = None,
) -> None:
    """Shows whether two latency measurements of the same policies agree, beside naive timing.

    Once with the machine as it is, which should be idle, and once with every core kept busy by processes of
    the benchmark's own. Then whether latencies that are computed from this host's figures, fitted to some
    policies, hold for others. Exits 1 where a bar falls short.

    Examples:
        python -m benchmarks.latency --quick
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from benchmarks.latency import measured, modelled

    console = Console(stderr=True)
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for part in (measured, modelled):
            for row in part.rows(Path(scratch), quick=quick, seed=seed, say=console.print):
                found.append(row)
                console.print(f"    {row.what}: {row.measured} {row.verdict}")
    known = ", ".join(f"{key} {value}" for key, value in surroundings().items())
    print_rows(f"Latency ({'quick' if quick else 'full'}); {known}", found)
    if json is not None:
        write_rows(json, found)
    sys.exit(exit_code(found))


if __name__ == "__main__":
    app()
