"""``tauten workloads``: models that can be asked for, a template, and a check of the contract."""

from __future__ import annotations

import tempfile
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import jinja2
import typer
from rich.table import Table

from evaluators.targets import find_target
from evaluators.workloads import is_file_reference, list_workloads, load_workload
from evaluators.workloads.naming import NAME
from service.cli.output import FAILED, AsJson, err, out, print_json, printing_aside
from service.files import write_aside
from service.settings import Settings
from spaces import Conflict, InvalidValue, UnknownName

if TYPE_CHECKING:
    from search.rehearsal import Cost, Rehearsal

TEMPLATE: Final = "workload.py.jinja"
COLOURS: Final = {"holds": "green", "warns": "yellow", "fails": "red"}
LONG_S: Final = 7200
MINUTE_S: Final = 120

workloads = typer.Typer(help="Workloads: models with their data.", no_args_is_help=True)


@workloads.command("list")
def list_all_workloads(as_json: AsJson = False) -> None:
    """Lists the registered workloads."""
    found = list_workloads()
    if as_json:
        items = [{"name": item.name, "source": item.source} for item in found.values()]
        print_json({"items": items, "next_cursor": None})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("workload")
    table.add_column("source")
    for item in found.values():
        table.add_row(item.name, item.source)
    out.print(table)


@workloads.command("check")
def check_workload(
    workload: Annotated[
        str, typer.Argument(help="Registered name, path/to/file.py:factory, torch:FILE.yaml or hf:FILE.yaml.")
    ],
    target: Annotated[str, typer.Option(help="Hardware target of the measurement.")] = "local-cpu",
    trials: Annotated[int, typer.Option(help="Of the search whose cost is told.", min=1)] = 40,
    as_json: AsJson = False,
) -> None:
    """Tries whether a workload keeps the contract, and tells what a search on it will cost.

    Splits share nothing and come in the same order, the model exports faithfully, the metric falls where
    targets are wrong, one policy can be evaluated. Exits 1 where something fails.

    Example: [bold]tauten workloads check digits-cnn[/]
    """
    from evaluators.process import use_threads
    from search.rehearsal import rehearse

    if not is_file_reference(workload) and workload not in (known := list_workloads()):
        raise UnknownName("workload", workload, tuple(known))
    aim = find_target(target, Settings.load().targets_dir, allow_files=True)
    use_threads()  # as a search does, whose time this is about
    with (
        err.status("loading the workload") as status,
        printing_aside(),
        tempfile.TemporaryDirectory(prefix="tauten-check-") as scratch,
    ):
        loaded = load_workload(workload, allow_files=True)
        found = rehearse(loaded, aim, Path(scratch), trials=trials, say=status.update)
    if as_json:
        print_json(_document(loaded.name, target, found))
    else:
        _show(found)
    if not found.holds:
        raise typer.Exit(FAILED)


@workloads.command("new")
def new_workload(
    name: Annotated[str, typer.Argument(help="Of the workload; letters, digits, '-', '_' and '.'.")],
    to: Annotated[Path | None, typer.Option("--out", help="The file; default NAME.py.")] = None,
) -> None:
    """Writes a commented, working workload to start from: a small network on scikit-learn's digits.

    Example: [bold]tauten workloads new mine[/]
    """
    if not NAME.fullmatch(name):
        raise InvalidValue.at("/name", f"must be of letters, digits, '.', '_', '-', not {name!r}")
    path = to or Path(f"{name.replace('-', '_').replace('.', '_')}.py")
    if path.exists():
        raise Conflict(f"{path} exists already; give another name with --out")
    words = [word for word in name.replace(".", "-").replace("_", "-").split("-") if word]
    class_name = "".join(word[:1].upper() + word[1:] for word in words)
    if not class_name.isidentifier():
        class_name = f"Workload{class_name}"
    template = files("service").joinpath("cli", TEMPLATE).read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    write_aside(
        path, environment.from_string(template).render(name=name, class_name=class_name, file=path.name)
    )
    out.print(
        f"wrote {path}; try it with: tauten workloads check {path}:factory", markup=False, soft_wrap=True
    )


def _document(name: str, target: str, found: Rehearsal) -> dict[str, Any]:
    return {
        "workload": name,
        "target": target,
        "holds": found.holds,
        "checks": [
            {"check": item.check, "verdict": item.verdict, "detail": item.detail} for item in found.findings
        ],
        "cost": None if found.cost is None else found.cost.to_dict(),
    }


def _show(found: Rehearsal) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for column in ("check", "verdict", "detail"):
        table.add_column(column, overflow="fold")
    for item in found.findings:
        colour = COLOURS[item.verdict]
        table.add_row(item.check, f"[{colour}]{item.verdict}[/]", item.detail.replace("[", "\\["))
    out.print(table)
    if found.cost is not None:
        out.print(_cost_in_words(found.cost), markup=False, soft_wrap=True)


def _cost_in_words(cost: Cost) -> str:
    return (
        f"a search of {cost.trials} trials takes {_duration(cost.search_s)} at most, at the load of now:"
        f" {_duration(cost.evaluation_s)} to compress and measure each policy, and {cost.epochs:g} epochs of"
        f" training at {_duration(cost.epoch_s)} for the reference's size, less for smaller ones"
    )


def _duration(seconds: float) -> str:
    if seconds < MINUTE_S:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"  # noqa: PLR2004
    return f"{seconds / 60:.0f} min" if seconds < LONG_S else f"{seconds / 3600:.1f} h"
