"""``tauten apply`` and ``tauten verify``: recipes put to work and put to the test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from service.cli.output import FAILED, AsJson, err, out, print_json, printing_aside
from service.recipe_running import apply_recipe, checks_document, read_recipe, verify_recipe

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe.yaml.")]
WorkloadName = Annotated[
    str | None, typer.Option("--workload", help="Registered name or path.py:factory; default: the recipe's.")
]


def apply(
    recipe: RecipePath,
    to: Annotated[Path, typer.Option("--out", help="Directory to write to.")],
    workload: WorkloadName = None,
    as_json: AsJson = False,
) -> None:
    """Makes a recipe's artifact again.

    Example: [bold]tauten apply recipe.yaml --workload digits-cnn --out applied[/]
    """
    read = read_recipe(recipe)
    with err.status("applying the recipe"), printing_aside():
        report = apply_recipe(read, workload or read.workload["name"], to)
    if as_json:
        print_json(report)
        return
    same = (
        "the recipe's own, to the byte"
        if report["same_artifact"]
        else "not the recipe's own, see report.json"
    )
    out.print(f"{to / 'artifact.onnx'}: {report['artifact']['size_bytes']:,} bytes, {same}")


def verify(recipe: RecipePath, workload: WorkloadName = None, as_json: AsJson = False) -> None:
    """Measures a recipe's claims again, and exits with 1 if one fails.

    Example: [bold]tauten verify recipe.yaml --workload digits-cnn[/]
    """
    read = read_recipe(recipe)
    with err.status("measuring the recipe's claims again"), printing_aside():
        checks = verify_recipe(read, workload or read.workload["name"], recipe.absolute().parent)
    document = checks_document(checks)
    if as_json:
        print_json(document)
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("claim", "claimed", "measured", "verdict"):
            table.add_column(column, justify="right" if column in {"claimed", "measured"} else "left")
        colours = {"holds": "green", "fails": "red"}
        for check in checks:
            verdict = f"[{colours.get(check.verdict, 'yellow')}]{check.verdict}[/]"
            table.add_row(check.claim, check.claimed, check.measured, verdict)
        out.print(table)
    if not document["holds"]:
        raise typer.Exit(FAILED)
