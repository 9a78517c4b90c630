"""``tauten apply``, ``verify`` and ``recipe``: recipes put to work, to the test, and into other formats."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from recipes import FORMATS, Conversion, convert, has_patterns, layer_names, recipe_schema
from recipes.importers import IMPORTERS, import_policy
from service.cli.output import FAILED, AsJson, err, out, print_json, printing_aside
from service.documents import read_document, read_text
from service.files import write_aside
from service.model_card import PLOT, model_card, plot_points
from service.recipe_layers import named_workload_layers, reference_layers
from service.recipe_running import apply_recipe, checks_document, read_recipe, verify_recipe
from service.trade_off_plot import draw_trade_off
from spaces import InvalidRecipe

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe.yaml.")]
WorkloadName = Annotated[
    str | None, typer.Option("--workload", help="Registered name or path.py:factory; default: the recipe's.")
]

app = typer.Typer(help="Recipes for other tools and other models.", no_args_is_help=True)
Written = Annotated[Path, typer.Option("--out", help="File to write.")]


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
        report = apply_recipe(read, workload, to)
    if as_json:
        print_json(report)
        return
    same = (
        "the recipe's own, to the byte"
        if report["same_artifact"]
        else "not the recipe's own, see report.json"
    )
    out.print(f"{to / 'artifact.onnx'}: {report['artifact']['size_bytes']:,} bytes, {same}")
    for difference in report["differs"]:
        out.print(f"  differs: {difference}")


def verify(recipe: RecipePath, workload: WorkloadName = None, as_json: AsJson = False) -> None:
    """Measures a recipe's claims again, and exits with 1 if one fails.

    Example: [bold]tauten verify recipe.yaml --workload digits-cnn[/]
    """
    read = read_recipe(recipe)
    with err.status("measuring the recipe's claims again"), printing_aside():
        checks = verify_recipe(read, workload, recipe.absolute().parent)
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


@app.command()
def schema() -> None:
    """Prints the JSON Schema of a recipe.

    Example: [bold]tauten recipe schema > tauten.recipe-1.schema.json[/]
    """
    print_json(recipe_schema())


@app.command("convert")
def convert_recipe(
    recipe: RecipePath,
    to: Written,
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(FORMATS)}.")],
    workload: WorkloadName = None,
    strict: Annotated[bool, typer.Option(help="Write nothing unless it says the whole policy.")] = False,
    as_json: AsJson = False,
) -> None:
    """Writes a recipe for another tool, and beside it what the format cannot say.

    Example: [bold]tauten recipe convert recipe.yaml --format torchao --out torchao.json[/]
    """
    read = read_recipe(recipe)
    with err.status("reading the model's layers"), printing_aside():
        layers = named_workload_layers(read, workload)
    conversion = convert(read, form, layers)
    if strict and conversion.losses:
        _show_losses(conversion)
        err.print(f"[red]error:[/] {form} cannot say the whole policy; nothing was written")
        raise typer.Exit(FAILED)
    write_aside(to, conversion.text)
    report = to.with_name(f"{to.name}.losses.json")
    write_aside(report, json.dumps(conversion.report(), indent=2, ensure_ascii=False) + "\n")
    if as_json:
        print_json({"path": str(to), **conversion.report()})
        return
    _show_losses(conversion)
    said = "says the whole policy" if not conversion.losses else f"leaves out what {report} says"
    out.print(f"{to}: for {conversion.tool}; {said}", markup=False, soft_wrap=True)


@app.command("import")
def import_recipe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recipe of another tool, YAML or JSON.")],
    to: Written,
    form: Annotated[str, typer.Option("--format", help=f"One of: {', '.join(IMPORTERS)}.")],
    workload: Annotated[str, typer.Option(help="Registered name, or path/to/file.py:factory.")],
    as_json: AsJson = False,
) -> None:
    """Writes what another tool's recipe says of bits and sparsity, as a policy to evaluate or search from.

    Example: [bold]tauten recipe import theirs.yaml --format llm-compressor --workload W --out policy.json[/]
    """
    text = read_text(file, InvalidRecipe)
    with err.status("reading the model's layers"), printing_aside():
        layers = reference_layers(workload)
    imported = import_policy(text, form, layers)
    write_aside(to, json.dumps(imported.policy.to_dict(), indent=2, ensure_ascii=False) + "\n")
    if as_json:
        print_json({"path": str(to), **imported.report()})
        return
    for line in imported.ignored:
        err.print(f"[yellow]not taken:[/] {_plain(line)}", soft_wrap=True)
    out.print(f"{to}: {len(imported.policy.layers)} layers", markup=False, soft_wrap=True)


@app.command()
def fold(recipe: RecipePath, to: Written, workload: WorkloadName = None, as_json: AsJson = False) -> None:
    """Writes a recipe with patterns for layers that are treated alike, for use on models of like names.

    Example: [bold]tauten recipe fold recipe.yaml --out general.yaml[/]
    """
    read = read_recipe(recipe)
    with err.status("reading the model's layers"), printing_aside():
        names = layer_names(named_workload_layers(read, workload))
    folded = read.for_layers(names).fold(names)
    write_aside(to, folded.to_yaml())
    _show_entries(to, len(read.policy.layers), len(folded.policy.layers), as_json)


@app.command()
def unfold(recipe: RecipePath, to: Written, workload: WorkloadName = None, as_json: AsJson = False) -> None:
    """Writes a recipe with every layer by name, as the workload's model has them.

    Example: [bold]tauten recipe unfold general.yaml --workload digits-cnn --out recipe.yaml[/]
    """
    read = read_recipe(recipe)
    with err.status("reading the model's layers"), printing_aside():
        names = layer_names(named_workload_layers(read, workload))
    unfolded = read.for_layers(names)
    write_aside(to, unfolded.to_yaml())
    _show_entries(to, len(read.policy.layers), len(unfolded.policy.layers), as_json)
    if has_patterns(read.policy) and unfolded.folded_from is not None:
        err.print("[yellow]note:[/] the policy is not the one that the recipe's claims are of")


@app.command()
def card(
    recipe: RecipePath,
    to: Annotated[Path, typer.Option("--out", help="Directory for model-card.md and the plot.")],
    search: Annotated[
        Path | None, typer.Option(help="Directory of a search, for the plot of its trials.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Writes a model card, with the trade-off as a picture where the search is at hand.

    Example: [bold]tauten recipe card out/recipe.yaml --search out --out card[/]
    """
    read = read_recipe(recipe)
    shown = None
    if search is not None:
        front = read_document(search / "front.json")
        trials = list(csv.DictReader(read_text(search / "trials.csv").splitlines()))
        shown = plot_points(front, trials)
    to.mkdir(parents=True, exist_ok=True)
    written = [to / "model-card.md"]
    if shown is not None:
        draw_trade_off(shown, to / f".{PLOT}.part")
        (to / f".{PLOT}.part").replace(to / PLOT)
        written.append(to / PLOT)
    write_aside(written[0], model_card(read, has_plot=shown is not None))
    if as_json:
        print_json({"files": [str(path) for path in written]})
    else:
        out.print("\n".join(map(str, written)), markup=False, soft_wrap=True)


def _show_losses(conversion: Conversion) -> None:
    if not conversion.losses:
        return
    table = Table(
        box=None, pad_edge=False, header_style="bold", title="not in this format", title_justify="left"
    )
    for column in ("layer", "part", "what", "do instead"):
        table.add_column(column, overflow="fold")
    for loss in conversion.losses:
        table.add_row(loss.layer or "-", loss.part, _plain(loss.lost), _plain(loss.remedy))
    err.print(table)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


def _show_entries(path: Path, before: int, after: int, as_json: bool) -> None:
    if as_json:
        print_json({"path": str(path), "entries_before": before, "entries": after})
    else:
        out.print(f"{path}: {after} entries for layers, {before} before", markup=False, soft_wrap=True)
