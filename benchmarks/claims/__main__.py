"""``python -m benchmarks.claims [--quick] [--only NAME] [--seed N] [--json FILE]``."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.table import Row, exit_code, print_rows, surroundings, write_rows

app = typer.Typer(add_completion=False)


@app.command()
def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds and epochs, the same bars.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="One claim by name; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
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

    console = Console(stderr=True)
    unknown = sorted(set(only or ()) - set(CLAIMS))
    if unknown:
        console.print(f"there is no claim {', '.join(unknown)}; there are: {', '.join(CLAIMS)}")
        raise typer.Exit(2)
    rows = _rows(console, [name for name in CLAIMS if not only or name in only], quick=quick, seed=seed)
    known = ", ".join(f"{key} {value}" for key, value in surroundings().items())
    print_rows(f"Claims ({'quick' if quick else 'full'}); {known}", rows)
    if json is not None:
        write_rows(json, rows)
    sys.exit(exit_code(rows))


def _rows(console: Console, names: list[str], *, quick: bool, seed: int) -> list[Row]:
    from benchmarks.claims.claim import Setting
    from benchmarks.claims.registry import CLAIMS

    rows: list[Row] = []
    for index, name in enumerate(names, 1):
        claim, started = CLAIMS[name], time.monotonic()
        console.print(f"{index}/{len(names)} {name}: {claim.text} ({claim.source})")
        with tempfile.TemporaryDirectory() as scratch:
            setting = Setting(quick, seed, Path(scratch), lambda text: console.print(f"    {text}"))
            for row in claim.run(setting):
                rows.append(row)
                console.print(f"    {row.what}: {row.measured} {row.verdict}")
        console.print(f"    {time.monotonic() - started:.0f} s")
    return rows


if __name__ == "__main__":
    app()
