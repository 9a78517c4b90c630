"""``python -m benchmarks.search [--quick] [--only PROBLEM] [--method METHOD] [--seed N] [--json FILE]``."""

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
    from collections.abc import Iterator, Sequence

    from benchmarks.search.setting import Run, Setting

app = typer.Typer(add_completion=False)
REAL: Final = ("digits-cnn", "fashion-resnet", "minilm-sentiment")
PROBLEMS: Final = ("synthetic", *REAL, "fidelity", "timing")
QUICK_PROBLEMS: Final = ("synthetic", "digits-cnn", "timing")
SEEDS: Final = {True: 2, False: 5}
SYNTHETIC_SEEDS: Final = {True: 3, False: 20}
FIDELITY_SEEDS: Final = {True: 1, False: 5}
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
    method: Annotated[list[str] | None, typer.Option(help="One method; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    seeds: Annotated[int | None, typer.Option(help="Seeds, instead of the usual number.")] = None,
    trials: Annotated[int | None, typer.Option(help="Budget, instead of the usual one.")] = None,
    seconds: Annotated[
        float, typer.Option(help="Begin no run after so long; what is missing is made by the next command.")
    ] = float("inf"),
    kept: Annotated[bool, typer.Option("--kept", help="Make no runs: tell what was made before.")] = False,
    plots: Annotated[Path | None, typer.Option(help="Draw hypervolumes by trials to this directory.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write the rows to this file as well.")] = None,
) -> None:
    """Compares the guided sampler with others at equal budgets, the profile charged.

    Exits 1 where a bar is not reached. With a budget other than 200, bars at 200 trials are read at its end.
    Runs and evaluations are kept in the cache: the same command goes on where it was ended.

    Example: python -m benchmarks.search --quick
    """
    from benchmarks.search.methods import METHODS

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    console = Console(stderr=True)
    _refuse_unknown(console, "problem", only or (), PROBLEMS)
    _refuse_unknown(console, "method", method or (), tuple(METHODS))
    budget = trials or TRIALS[quick]
    chosen = [name for name in (QUICK if quick else METHODS) if not method or name in method]
    end = 0.0 if kept else time.monotonic() + seconds
    rows: list[Row] = []
    for name in PROBLEMS:
        if name not in (only or (QUICK_PROBLEMS if quick else PROBLEMS)):
            continue
        if name == "timing":
            from benchmarks.search.timing import timing_rows

            rows += timing_rows(quick=quick)
            continue
        if name == "fidelity":
            from benchmarks.search.fidelity import fidelity_rows

            count = seeds or FIDELITY_SEEDS[quick]
            with tempfile.TemporaryDirectory() as scratch:
                rows += fidelity_rows(Path(scratch), range(seed, seed + count), quick=quick)
            continue
        count = seeds or (SYNTHETIC_SEEDS if name == "synthetic" else SEEDS)[quick]
        rows += _compared(console, name, chosen, range(seed, seed + count), budget, end, plots)
    known = ", ".join(f"{key} {value}" for key, value in surroundings().items())
    print_rows(f"Search ({'quick' if quick else 'full'}); {known}", rows)
    if json is not None:
        write_rows(json, rows)
    sys.exit(exit_code(rows))


def _refuse_unknown(console: Console, kind: str, asked: Sequence[str], known: Sequence[str]) -> None:
    unknown = sorted(set(asked) - set(known))
    if unknown:
        console.print(f"there is no {kind} {', '.join(unknown)}; there are: {', '.join(known)}")
        raise typer.Exit(2)


def _compared(
    console: Console,
    name: str,
    methods: Sequence[str],
    seeds: range,
    budget: int,
    end: float,
    plots: Path | None,
) -> Iterator[Row]:
    from benchmarks.search.comparing import rows_for
    from benchmarks.search.runs import kept_run, make_run

    settings = _settings(name, seeds)
    runs: dict[str, dict[int, Run]] = {}
    for method in methods:
        if name != "synthetic" and method == "guided, poor profile":
            continue  # the profile is measured there; only the synthetic one can be made poor
        started = time.monotonic()
        for setting, seed in zip(settings, seeds, strict=True):
            run = kept_run(setting, method, budget, seed)
            if run is None and time.monotonic() < end:
                run = make_run(setting, method, budget, seed)
            if run is not None:
                runs.setdefault(method, {})[seed] = run
        took = time.monotonic() - started
        console.print(f"{name}: {method}, {len(runs.get(method, ()))} of {len(seeds)} seeds, {took:.0f} s")
    if name in REAL:
        from benchmarks.search.held_out import test_rows
        from benchmarks.search.trained import Trained

        assert isinstance(settings[0], Trained)
        yield from test_rows(settings[0], runs, end)
    if plots is not None and runs:
        from benchmarks.search.plotting import draw

        draw(plots, settings[0].name, runs, budget)
    yield from rows_for(settings[0].name, runs, budget)


def _settings(name: str, seeds: range) -> list[Setting]:
    if name == "synthetic":
        from benchmarks.search.synthetic import Network

        return [Network(seed) for seed in seeds]
    from benchmarks.search.trained import Trained

    return [Trained(name)] * len(seeds)


if __name__ == "__main__":
    app()
