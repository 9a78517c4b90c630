"""``tauten search`` and ``tauten evaluate``: the same job as a service runs, without a server."""

from __future__ import annotations

import json
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Annotated, Any

import typer

from evaluators.targets import find_target
from evaluators.workloads import is_file_reference, list_workloads
from search.job import Job, JobState
from search.profile import DEFAULT_PROFILE, PROFILES
from search.samplers import SAMPLERS
from search.spec import DEFAULT_SAMPLER, FIDELITIES, JobSpec
from search.targeting import aimed
from service.cli.output import (
    CONSTRAINTS_UNMET,
    FAILED,
    AsJson,
    err,
    front_table,
    methods_note,
    out,
    print_json,
    printing_aside,
)
from service.cli.watching import watch
from service.documents import read_document
from service.files import export, write_aside
from service.log import configure_log
from service.settings import Settings
from service.views import JobView
from service.wording import optimism_note
from spaces import HINTS, InvalidSpec, Method, Policy, TautenError, UnknownName
from storage import Claim, Database, Results, Store, WorkerLock, open_artifacts

INTERRUPTED = 130
WORK_DIR = ".tauten"

WorkloadArgument = Annotated[str, typer.Argument(help="Registered name, or path/to/file.py:factory.")]
TargetName = Annotated[
    str, typer.Option(help="Hardware target, see: tauten targets list; or path/to/target.yaml.")
]


def search(
    workload: WorkloadArgument,
    to: Annotated[
        Path, typer.Option("--out", help="Directory for results; a search is taken up again from it.")
    ],
    target: TargetName = "local-cpu",
    trials: Annotated[
        int | None, typer.Option(help="Budget; 40, or as many as the seconds allow.", min=1)
    ] = None,
    max_accuracy_drop: Annotated[
        float | None, typer.Option(help="Constraint, such as 0.01 for one point.")
    ] = None,
    wall_s: Annotated[float | None, typer.Option(help="Budget in seconds.", min=1)] = None,
    min_gain: Annotated[
        float, typer.Option(help="End early when the rest is expected to gain less than this share.", min=0)
    ] = 0.0,
    fidelity: Annotated[
        str, typer.Option(help=f"How candidates are recovered: {', '.join(FIDELITIES)}.")
    ] = "full",
    mirror_to: Annotated[
        str | None, typer.Option("--mirror", help="Optuna storage to write the trials to, for its dashboard.")
    ] = None,
    objectives: Annotated[
        str, typer.Option(help="Metrics with commas between.")
    ] = "accuracy,latency_ms,size_bytes",
    sampler: Annotated[str, typer.Option(help=f"One of: {', '.join(SAMPLERS)}.")] = DEFAULT_SAMPLER,
    profile: Annotated[
        str, typer.Option(help=f"Sensitivities measured first, for 'guided': {', '.join(PROFILES)}.")
    ] = DEFAULT_PROFILE,
    space: Annotated[Path | None, typer.Option(help="JSON or YAML file with the job's space.")] = None,
    hint: Annotated[
        str | None,
        typer.Option("--task-hint", help=f"Narrows the default space: {', '.join(HINTS)}."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed proposes the same.", min=0)] = 0,
    workers: Annotated[
        int, typer.Option(help="Trials that are evaluated at once, each in a process of its own.", min=1)
    ] = 1,
    anchor: Annotated[
        list[Path] | None, typer.Option(help="A policy to try first, as 'recipe import' writes; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Searches compression policies and leaves front, trials, recipe, artifact and a report.

    Examples:
    [bold]tauten search digits-cnn --trials 20 --max-accuracy-drop 0.01 --out out[/]

    [bold]tauten search digits-cnn --target raspberry-pi-5 --trials 6 --out out[/]

    [bold]tauten search path/to/mine.py:factory --target path/to/board.yaml --trials 8 --out out[/]
    """
    spec = JobSpec.from_dict(
        {
            "workload": workload,
            "target": target,
            "objectives": [name.strip() for name in objectives.split(",")],
            "constraints": {} if max_accuracy_drop is None else {"accuracy_drop": {"max": max_accuracy_drop}},
            "space": _space(space, hint),
            "sampler": sampler,
            "profile": profile,
            "budget": {"trials": trials, "wall_s": wall_s, "min_gain": min_gain},
            "fidelity": fidelity,
            "seed": seed,
            "workers": workers,
            "anchors": [read_document(path) for path in anchor or ()],
        }
    )
    if not is_file_reference(workload) and workload not in (known := list_workloads()):
        raise UnknownName("workload", workload, tuple(known))
    targets_dir = Settings.load().targets_dir
    found = find_target(target, targets_dir, allow_files=True)
    spec = aimed(spec, found)
    configure_log(logging.WARNING)
    settings = Settings.load(data_dir=to / WORK_DIR, environ={}, directory=None, targets_dir=targets_dir)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(settings.database_url)
    try:
        database.upgrade()
        _run(spec, settings, database, to, as_json, mirror_to)
    finally:
        database.close()


def evaluate(
    policy: Annotated[Path, typer.Argument(metavar="POLICY.json", help="A policy, tauten.policy/1.")],
    to: Annotated[Path, typer.Option("--out", help="Directory for the artifact and trial.json.")],
    workload: Annotated[str, typer.Option(help="Registered name, or path/to/file.py:factory.")],
    target: TargetName = "local-cpu",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Compresses and scores one policy, as a trial of a search would be.

    Example: [bold]tauten evaluate policy.json --workload digits-cnn --out out[/]
    """
    from evaluators.evaluator import Evaluator
    from evaluators.process import use_threads
    from evaluators.workloads import load_workload

    use_threads()  # as a search does: other numbers give other weights
    read = Policy.from_dict(read_document(policy))
    with err.status("preparing the reference") as status, printing_aside():
        loaded = load_workload(workload, allow_files=True)
        aim = find_target(target, Settings.load().targets_dir, allow_files=True)
        with Evaluator(loaded, aim, to / WORK_DIR, seed=seed) as evaluator:
            status.update("compressing and measuring")
            outcome, path = evaluator.evaluate(read)
    if path is not None:
        path.replace(to / "artifact.onnx")
    document = {"policy_digest": read.digest, "policy": read.to_dict(), **outcome.to_dict()}
    write_aside(to / "trial.json", json.dumps(document, indent=2) + "\n")
    if as_json:
        print_json(document)
    else:
        for name, metric in outcome.metrics.items():
            gain = metric.speedup or metric.ratio
            how = "" if metric.method is Method.MEASURED else f"  {metric.method}"
            how += ", uncalibrated" if metric.calibrated is False else ""
            shown = f"{name:17} {metric.value:>14.6g} {metric.unit}" + (f"  {gain:.2f}x" if gain else "")
            out.print(shown + how)
    if outcome.status != "completed":
        err.print(
            f"[red]{outcome.status}:[/] {(outcome.reason or '').replace('[', chr(92) + '[')}", soft_wrap=True
        )
        raise typer.Exit(FAILED)


def _space(file: Path | None, hint: str | None) -> Any:
    """The job's ``space``: what a file says, with a hint that it does not contradict."""
    document = None if file is None else read_document(file)
    if hint is None or not isinstance(document, dict | NoneType):
        return document  # what is no object is refused by whoever reads the space
    if document and document.get("hint") not in (None, hint):
        detail = f"is {document['hint']!r} in {file}, and --task-hint says {hint!r}; give one of them"
        raise InvalidSpec.at("/space/hint", detail)
    return {**(document or {}), "hint": hint}


def _run(
    spec: JobSpec, settings: Settings, database: Database, to: Path, as_json: bool, mirror_to: str | None
) -> None:
    store = Store(database)
    job = _submit(spec, store)
    if job.progress.done and not job.state.is_final:
        err.print(
            f"taking up the search in {to}: {job.progress.done} of {job.progress.total} trials are done"
        )
    if not job.state.is_final:
        _work(job.id, settings, store)
        job = store.job(job.id)
    view = JobView.load(Results(database), store, job.id)
    written = export(view, open_artifacts(settings.artifacts_dir, settings.artifacts_url), to)
    if mirror_to is not None:
        _mirror(view, mirror_to)
    front = view.front_document()
    _show(job, front, written, as_json)
    if job.state is JobState.QUEUED:
        err.print(
            f"stopped; {job.progress.done} trials are kept in {to}. Run the same command again to go on."
        )
        raise typer.Exit(INTERRUPTED)
    if job.state is JobState.FAILED:
        raise TautenError(job.reason or "the search failed")
    if job.reason:
        err.print(job.reason, markup=False)
    err.print("wrote " + ", ".join(str(path) for path in written), markup=False, soft_wrap=True)
    if view.front.chosen is None:
        raise TautenError(_nothing_completed(view))
    if not view.front.constraints_met:
        err.print(
            f"no trial meets the constraint on {view.front.constraint_binding}; the nearest miss is exported"
        )
        raise typer.Exit(CONSTRAINTS_UNMET)


def _show(job: Job, front: dict[str, Any], written: list[Path], as_json: bool) -> None:
    if as_json:
        print_json({"job": job.to_dict(), "front": front, "files": [str(path) for path in written]})
    else:
        out.print(front_table(front))
    for note in filter(None, (methods_note(front), optimism_note(front))):
        err.print(note, markup=False, soft_wrap=True)


def _mirror(view: JobView, storage: str) -> None:
    from search.mirror import mirror

    trials = (trial.to_dict() for trial in view.trials)
    study, added = mirror(view.job.id, view.job.spec.objectives, trials, storage)
    err.print(f"wrote {added} trials to the Optuna study {study}", markup=False)


def _nothing_completed(view: JobView) -> str:
    if not view.trials:
        return "no trial was run"
    last = view.trials[-1]
    return f"no trial was completed; the last, trial {last.number}, is {last.state}: {last.reason}"


def _submit(spec: JobSpec, store: Store) -> Job:
    """The search of this directory: the same request takes the earlier one up; a failed one is begun anew."""
    from spaces import digest_of

    key = digest_of(spec.to_dict())
    job, _ = store.submit(spec, idempotency_key=key)
    if job.state in {JobState.FAILED, JobState.CANCELLED}:
        store.delete(job.id)
        job, _ = store.submit(spec, idempotency_key=key)
    return store.resume(job.id) if job.state is JobState.PAUSED else job


def _claim(store: Store, lock: WorkerLock, job_id: str) -> Claim | None:
    """Holds the job; other searches of this directory that wait rest until they are asked for again."""
    while (claim := store.claim(lock)) is not None and claim.job.id != job_id:
        store.pause(claim.job.id)
        claim.release(JobState.PAUSED, "another search was started in its directory")
    return claim


@contextmanager
def _interrupts(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C asks for an orderly stop; a second one does not wait for it."""

    def ask(*_: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        err.print("stopping; what finished is kept ...")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(job_id: str, settings: Settings, store: Store) -> None:
    """Runs the job in a thread, so that the terminal stays alive and Ctrl-C stops it in order."""
    from service.worker import run_claim

    stop = threading.Event()
    stage: list[str] = [""]
    failure: list[BaseException] = []

    def say(message: dict[str, Any]) -> None:
        stage[0] = message.get("stage", stage[0])

    def run(claim: Claim) -> None:
        try:
            run_claim(claim, settings, store, stop.is_set, allow_files=True, say=say)
        except BaseException as error:  # noqa: BLE001  # raised again by the main thread
            failure.append(error)

    with WorkerLock(settings.data_dir) as lock:
        claim = _claim(store, lock, job_id)
        if claim is None:
            raise TautenError(
                f"another process is searching in {settings.data_dir.parent}; wait for it or end it"
            )
        thread = threading.Thread(target=run, args=(claim,))
        thread.start()

        def look() -> dict[str, Any]:
            if not thread.is_alive() and failure:
                raise failure[0]
            return store.job(job_id).to_dict()

        try:
            with _interrupts(stop):
                watch(look, lambda: stage[0], lambda: not thread.is_alive())
        finally:
            stop.set()
            thread.join()
    if failure:
        raise failure[0]
