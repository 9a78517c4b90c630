"""``tauten workloads``: models that can be asked for."""

from __future__ import annotations

import typer
from rich.table import Table

from evaluators.workloads import list_workloads
from service.cli.output import AsJson, out, print_json

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
