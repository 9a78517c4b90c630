"""``tauten targets`` and ``tauten workloads``: what can be asked for."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml
from rich.table import Table

from evaluators.targets import find_target, list_targets
from evaluators.workloads import list_workloads
from service.cli.output import AsJson, out, print_json

targets = typer.Typer(help="Hardware targets.", no_args_is_help=True)
workloads = typer.Typer(help="Workloads: models with their data.", no_args_is_help=True)


@targets.command("list")
def list_all_targets(as_json: AsJson = False) -> None:
    """Lists the targets."""
    found = list_targets()
    if as_json:
        print_json({"items": [target.to_dict() for target in found.values()], "next_cursor": None})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("target", "kind", "description"):
        table.add_column(column)
    for target in found.values():
        table.add_row(target.name, target.kind, target.description)
    out.print(table)


@targets.command()
def show(name: Annotated[str, typer.Argument(help="Of the target.")], as_json: AsJson = False) -> None:
    """Shows a target with its kernels and sources.

    Example: [bold]tauten targets show local-cpu[/]
    """
    document = find_target(name).to_dict()
    if as_json:
        print_json(document)
    else:
        out.print(yaml.safe_dump(document, sort_keys=False), end="", markup=False)


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
