"""``python -m benchmarks.headline [--quick] [--only WORKLOAD] [--seed N] [--slice-s S] [--json FILE]``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from benchmarks.headline.bars import BARS, quick
from benchmarks.headline.rows import rows_of
from benchmarks.headline.searching import search
from benchmarks.table import Row, exit_code, print_rows, surroundings, write_rows
from evaluators.cache import cache_root

if TYPE_CHECKING:
    from benchmarks.headline.searching import Search

app = typer.Typer(add_completion=False)
SEEDS: Final = {True: 1, False: 3}


@app.command()
def main(
    *,
    is_quick: Annotated[bool, typer.Option("--quick", help="One seed, few and short trials.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="One workload; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    seeds: Annotated[int | None, typer.Option(help="Seeds, instead of 3, or of 1 with --quick.")] = None,
    slice_s: Annotated[
        float | None, typer.Option(help="Stop after so many seconds; the same command goes on.", min=1)
    ] = None,
    fidelity: Annotated[str, typer.Option(help="Of the searches, as of `tauten search`.")] = "full",
    store: Annotated[Path | None, typer.Option(help="Where the searches are kept between runs.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file as well.")] = None,
) -> None:
    """Searches the real workloads as a user does, and compares what is found with what is promised.

    Exits 1 where a bar is not reached, or not yet. Each search is taken up again where it was left.

    Example: python -m benchmarks.headline --only fashion-resnet --slice-s 600
    """
    console = Console(stderr=True)
    unknown = sorted(set(only or ()) - {bar.workload for bar in BARS})
    if unknown:
        names = ", ".join(bar.workload for bar in BARS)
        console.print(f"there is no bar for {', '.join(unknown)}; there are: {names}")
        raise typer.Exit(2)
    kept = store or cache_root() / "headline"
    ends = None if slice_s is None else time.monotonic() + slice_s
    rows: list[Row] = []
    for each in BARS:
        if only and each.workload not in only:
            continue
        bar = quick(each) if is_quick else each
        found: list[Search] = []
        for number in range(seed, seed + (seeds or SEEDS[is_quick])):
            left = None if ends is None else ends - time.monotonic()
            if left is not None and left <= 0:
                break
            console.print(f"{bar.workload}: searching with seed {number}")
            result = search(bar, number, kept, left, fidelity)
            found += [] if result is None else [result]
        rows += rows_of(bar, found)
    known = ", ".join(f"{key} {value}" for key, value in surroundings().items())
    print_rows(f"Headline ({'quick' if is_quick else 'full'}); {known}", rows)
    if json is not None:
        write_rows(json, rows)
    sys.exit(exit_code(rows))


if __name__ == "__main__":
    app()
