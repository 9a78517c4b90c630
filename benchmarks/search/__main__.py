"""``python -m benchmarks.search [--quick] [--only PROBLEM] [--seed N] [--json FILE]``."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from benchmarks.table import Row, exit_code, print_rows, surroundings, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.search.setting import Run, Setting

app = typer.Typer(add_completion=False)
PROBLEMS: Final = ("synthetic", "digits", "timing")
SEEDS: Final = {("synthetic", True): 3, ("synthetic", False): 20, ("digits", True): 1, ("digits", False): 5}
TRIALS: Final = {True: 100, False: 200}
QUICK: Final = (
    "guided",
    "guided, shuffled profile",
    "anchored GP, no profile",
    "sweep alone",
    "random",
    "NSGA-II 20",
    "multivariate TPE",
    "anchored multivariate TPE",
)


@app.command()
def main(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds and trials, the same bars.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="One problem; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    seeds: Annotated[int | None, typer.Option(help="Seeds, instead of the usual number.")] = None,
    trials: Annotated[int | None, typer.Option(help="Budget, instead of the usual one.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file as well.")] = None,
) -> None:
    """Compares the guided sampler with others at equal budgets, the profile charged.

    Exits 1 where a bar is not reached. With a budget other than 200, bars at 200 trials are read at its end.

    Example: python -m benchmarks.search --quick
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    console = Console(stderr=True)
    unknown = sorted(set(only or ()) - set(PROBLEMS))
    if unknown:
        console.print(f"there is no problem {', '.join(unknown)}; there are: {', '.join(PROBLEMS)}")
        raise typer.Exit(2)
    budget = trials or TRIALS[quick]
    rows: list[Row] = []
    for name in PROBLEMS:
        if only and name not in only:
            continue
        if name == "timing":
            from benchmarks.search.timing import timing_rows

            rows += timing_rows(quick=quick)
        else:
            count = seeds or SEEDS[name, quick]
            rows += _compared(console, name, range(seed, seed + count), budget, quick=quick)
    known = ", ".join(f"{key} {value}" for key, value in surroundings().items())
    print_rows(f"Search ({'quick' if quick else 'full'}); {known}", rows)
    if json is not None:
        write_rows(json, rows)
    sys.exit(exit_code(rows))


def _compared(console: Console, name: str, seeds: range, budget: int, *, quick: bool) -> Iterator[Row]:
    from benchmarks.search.comparing import rows_for
    from benchmarks.search.methods import METHODS, play

    with tempfile.TemporaryDirectory() as scratch:
        settings = _settings(name, seeds, Path(scratch))
        runs: dict[str, list[Run]] = {}
        for method in QUICK if quick else METHODS:
            if name == "digits" and method == "guided, poor profile":
                continue  # the profile is measured there; only the synthetic one can be made poor
            started = time.monotonic()
            runs[method] = [
                play(setting, METHODS[method], budget, seed)
                for setting, seed in zip(settings, seeds, strict=True)
            ]
            console.print(f"{name}: {method}, {len(seeds)} seeds, {time.monotonic() - started:.0f} s")
        yield from rows_for(settings[0].name, runs, budget)


def _settings(name: str, seeds: range, scratch: Path) -> list[Setting]:
    from benchmarks.search.synthetic import Network

    if name == "synthetic":
        return [Network(seed) for seed in seeds]
    from benchmarks.search.digits import Digits

    digits = Digits(scratch)
    digits.close()
    return [digits] * len(seeds)


if __name__ == "__main__":
    app()
