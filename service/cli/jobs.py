"""``tauten job``: jobs of a running service."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.table import Table

from service.cli.output import FAILED, AsJson, err, front_table, out, print_json
from service.cli.watching import watch as watch_job
from service.client import DEFAULT_URL, Client
from service.documents import parse_document, read_document
from service.files import write_aside
from service.wording import optimism_note
from spaces import InvalidSpec

app = typer.Typer(help="Search jobs of a running service.", no_args_is_help=True)

Url = Annotated[str, typer.Option("--url", envvar="TAUTEN_URL", help="Of the service.")]
JobId = Annotated[str, typer.Argument(help="Id of the job.")]
Trial = Annotated[int | None, typer.Option(help="Number of the trial; the chosen one if left out.")]
MaxDrop = Annotated[float | None, typer.Option(help="Choose within this drop of accuracy.", min=0)]
Minimize = Annotated[str | None, typer.Option(help="Choose the least of this metric.")]


@app.command()
def submit(
    spec: Annotated[str, typer.Argument(help="JSON or YAML file, or - for standard input.")],
    url: Url = DEFAULT_URL,
    watch: Annotated[bool, typer.Option("--watch", help="Follow the job until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Submits a search.

    Example: [bold]echo '{"workload": "digits-cnn"}' | tauten job submit - --watch[/]
    """
    with Client(url) as client:
        job = client.submit(_read(spec))
        if watch:
            err.print(f"job {job['id']}")
            job = watch_job(lambda: client.job(job["id"]))
        _print(job, as_json)


@app.command()
def retarget(
    job: JobId,
    target: Annotated[str, typer.Option(help="Hardware target to score the trials on.")],
    url: Url = DEFAULT_URL,
    trials: Annotated[
        str, typer.Option(help="all, front, or numbers with commas between.", metavar="WHICH")
    ] = "all",
    watch: Annotated[bool, typer.Option("--watch", help="Follow the new job until it ends.")] = False,
    as_json: AsJson = False,
) -> None:
    """Scores the trials of a job that has ended on another target, training nothing.

    Example: [bold]tauten job retarget JOB --target raspberry-pi-5 --trials front --watch[/]
    """
    with Client(url) as client:
        new = client.retarget(job, target, trials=_wanted(trials))
        if watch:
            err.print(f"job {new['id']}")
            new = watch_job(lambda: client.job(new["id"]))
        _print(new, as_json)


@app.command("list")
def list_all(
    url: Url = DEFAULT_URL,
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most this many.", min=1, max=1000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Lists jobs, newest first."""
    with Client(url) as client:
        filters = {"limit": limit} | ({"state": state} if state else {})
        items = [job for _, job in zip(range(limit), client.jobs(**filters), strict=False)]
    if as_json:
        print_json({"items": items, "next_cursor": None})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("job", "state", "workload", "target", "trials", "hypervolume", "created"):
        table.add_column(column)
    for job in items:
        progress = job["progress"]
        counts = f"{progress['trials']['done']}/{progress['trials']['total']}"
        spec = job["spec"]
        hypervolume = f"{progress['hypervolume']:.3f}"
        table.add_row(
            job["id"],
            job["state"],
            spec["workload"],
            spec["target"],
            counts,
            hypervolume,
            job["created_at"][:19],
        )
    out.print(table)


@app.command()
def show(job: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Shows a job."""
    with Client(url) as client:
        _print(client.job(job), as_json)


@app.command()
def watch(job: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Follows a job until it ends."""
    with Client(url) as client:
        _print(watch_job(lambda: client.job(job)), as_json)


@app.command()
def cancel(job: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Ends a job; what finished stays."""
    with Client(url) as client:
        _print(client.cancel(job), as_json)


@app.command()
def pause(job: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Rests a job."""
    with Client(url) as client:
        _print(client.pause(job), as_json)


@app.command()
def resume(job: JobId, url: Url = DEFAULT_URL, as_json: AsJson = False) -> None:
    """Takes a paused job up again."""
    with Client(url) as client:
        _print(client.resume(job), as_json)


@app.command()
def front(
    job: JobId,
    url: Url = DEFAULT_URL,
    max_accuracy_drop: MaxDrop = None,
    minimize: Minimize = None,
    as_json: AsJson = False,
) -> None:
    """Shows a job's front.

    Example: [bold]tauten job front JOB --max-accuracy-drop 0.01[/]
    """
    with Client(url) as client:
        document = client.front(job, max_accuracy_drop=max_accuracy_drop, minimize=minimize)
    if as_json:
        print_json(document)
        return
    out.print(front_table(document))
    note = optimism_note(document)
    if note is not None:
        err.print(note, markup=False, soft_wrap=True)


@app.command()
def mirror(
    job: JobId,
    storage: Annotated[str, typer.Argument(help="Optuna storage, such as sqlite:///mirror.db.")],
    url: Url = DEFAULT_URL,
    as_json: AsJson = False,
) -> None:
    """Writes a job's trials to an Optuna study; run again, it adds what is new.

    Example: [bold]tauten job mirror JOB sqlite:///mirror.db && optuna-dashboard sqlite:///mirror.db[/]
    """
    from search import mirror as mirroring

    with Client(url) as client:
        objectives = client.job(job)["spec"]["objectives"]
        study, added = mirroring.mirror(job, objectives, client.trials(job), storage)
    if as_json:
        print_json({"study": study, "added": added})
    else:
        out.print(f"{study}: {added} trials added", markup=False)


@app.command()
def recipe(
    job: JobId,
    url: Url = DEFAULT_URL,
    trial: Trial = None,
    max_accuracy_drop: MaxDrop = None,
    minimize: Minimize = None,
    to: Annotated[
        Path | None, typer.Option("--out", help="File to write; standard output if left out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Exports a recipe.

    Example: [bold]tauten job recipe JOB --max-accuracy-drop 0.01 --out recipe.yaml[/]
    """
    with Client(url) as client:
        text = client.recipe(job, trial=trial, max_accuracy_drop=max_accuracy_drop, minimize=minimize)
    if to is not None:
        write_aside(to, text)
    if as_json:
        print_json(yaml.safe_load(text))
    elif to is None:
        out.print(text, end="", markup=False, soft_wrap=True)


@app.command()
def artifact(
    job: JobId,
    to: Annotated[Path, typer.Option("--out", help="File to write.")],
    url: Url = DEFAULT_URL,
    trial: Trial = None,
    as_json: AsJson = False,
) -> None:
    """Downloads a trial's artifact, checked by its digest.

    Example: [bold]tauten job artifact JOB --out model.onnx[/]
    """
    with Client(url) as client:
        number = client.front(job)["chosen"] if trial is None else trial
        if number is None:
            err.print(f"[red]error:[/] job {job} has no completed trial yet")
            raise typer.Exit(FAILED)
        client.artifact(job, number, to)
    if as_json:
        print_json({"trial": number, "path": str(to)})
    else:
        err.print(f"artifact of trial {number} in {to}")


def _wanted(trials: str) -> str | list[int]:
    if trials in {"all", "front"}:
        return trials
    try:
        return [int(number) for number in trials.split(",")]
    except ValueError:
        raise typer.BadParameter(
            f"must be all, front or trial numbers such as 3,17, not {trials!r}", param_hint="--trials"
        ) from None


def _read(source: str) -> dict[str, Any]:
    document = parse_document(sys.stdin.read(), "-") if source == "-" else read_document(Path(source))
    if not isinstance(document, dict):
        raise InvalidSpec.at("", f"{source} must hold an object with the job's fields")
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:  # YAML has dates and infinities, which JSON has not
        raise InvalidSpec.at("", f"{source} holds what JSON cannot: {error}") from error
    return document


def _print(job: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(job)
    else:
        progress = job["progress"]
        counts = f"{progress['trials']['done']} of {progress['trials']['total']} trials"
        reason = f" ({job['reason']})" if job["reason"] else ""
        out.print(f"job {job['id']}: {job['state']}{reason}, {counts}", markup=False, soft_wrap=True)
    if job["state"] == "failed":
        raise typer.Exit(FAILED)
