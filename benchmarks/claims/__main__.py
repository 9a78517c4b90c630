"""``python -m benchmarks.claims [--quick] [--only NAME] [--seed N] [--jobs N] [--json FILE]``."""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.table import exit_code, print_rows, surroundings, write_rows

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds and epochs, the same bars.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="One claim by name; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Claims that run at once, a thread each.")] = CORES,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file as well.")] = None,
) -> None:
    """Tries published claims about compression on small real settings, and says what was measured.

    Exits 1 where a row that the product promises falls short; a published claim that fails is reported.

    Examples:
        python -m benchmarks.claims --quick

        python -m benchmarks.claims --only int8-scale --only threshold
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from benchmarks.claims.registry import CLAIMS
    from benchmarks.claims.running import run_claims

    console = Console(stderr=True)
    unknown = sorted(set(only or ()) - set(CLAIMS))
    if unknown:
        console.print(f"there is no claim {', '.join(unknown)}; there are: {', '.join(CLAIMS)}")
        raise typer.Exit(2)
    names = [name for name in CLAIMS if not only or name in only]
    rows = list(itertools.chain.from_iterable(run_claims(names, quick=quick, seed=seed, jobs=jobs)))
    known = ", ".join(f"{key} {value}" for key, value in surroundings().items())
    print_rows(f"Claims ({'quick' if quick else 'full'}); {known}", rows)
    if json is not None:
        write_rows(json, rows)
    sys.exit(exit_code(rows))


if __name__ == "__main__":
    app()
