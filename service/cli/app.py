"""Puts the commands together, and turns errors into one line and an exit code."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from evaluators.children import PATIENT
from service.cli import catalogue, database, demo, jobs, key, recipe, search, serve, targets
from service.cli.output import FAILED, WRONG_USAGE, err
from spaces import InvalidValue, TautenError, UnknownName

app = typer.Typer(
    name="tauten",
    help="Find how small and fast a model can get on your hardware before it stops being accurate enough.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("demo")(demo.demo)
app.command("search")(search.search)
app.command("evaluate")(search.evaluate)
app.command("serve")(serve.serve)
app.command("worker")(serve.worker)
app.command("apply")(recipe.apply)
app.command("verify")(recipe.verify)
app.add_typer(jobs.app, name="job")
app.add_typer(recipe.app, name="recipe")
app.add_typer(targets.app, name="targets")
app.add_typer(catalogue.workloads, name="workloads")
app.add_typer(database.app, name="db")
app.add_typer(key.app, name="key")


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(version("tauten"))
        raise typer.Exit


@app.callback()
def tauten(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Options that stand before the command."""


def main() -> None:
    """Runs the command line."""
    for name, value in PATIENT.items():
        os.environ.setdefault(name, value)  # before torch is loaded, which reads it once
    try:
        app()
    except (InvalidValue, UnknownName) as error:
        err.print(f"[red]error:[/] {_plain(error)}", soft_wrap=True)
        sys.exit(WRONG_USAGE)
    except TautenError as error:
        err.print(f"[red]error:[/] {_plain(error)}", soft_wrap=True)
        sys.exit(FAILED)
    except OSError as error:
        if error.filename is None:
            raise
        err.print(f"[red]error:[/] {_plain(f'{error.filename}: {error.strerror}')}", soft_wrap=True)
        sys.exit(FAILED)


def _plain(message: object) -> str:
    """In one line, whatever the user's own code said, and without Rich's markup."""
    return " ".join(str(message).split()).replace("[", "\\[")
