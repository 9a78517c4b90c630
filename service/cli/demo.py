"""``tauten demo``: the main job, end to end, as a user of the service would do it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from service.cli.output import FAILED, err, front_table, out
from service.cli.watching import watch
from service.client import Client
from service.files import write_aside
from service.settings import DEFAULT_PORT
from service.wording import optimism_note
from spaces import RemoteError

START_S: Final = 60.0
STOP_S: Final = 20.0

SPEC: Final[dict[str, Any]] = {
    "workload": "digits-cnn",
    "target": "local-cpu",
    "objectives": ["accuracy", "latency_ms", "size_bytes"],
    "constraints": {"accuracy_drop": {"max": 0.01}},
    "budget": {"trials": 20},
    "seed": 0,
}


def demo(
    to: Annotated[Path, typer.Option("--out", help="Directory for data and results; emptied first.")] = Path(
        "demo-out"
    ),
    port: Annotated[int | None, typer.Option(help="Of the service; a free one if left out.")] = None,
) -> None:
    """Runs the main job: a service, a search over HTTP, its front, a recipe, and its verification.

    On a terminal it keeps serving until Ctrl-C.
    """
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    url = f"http://127.0.0.1:{port or _free_port()}"
    server = _serve(url, to / "data")
    try:
        with Client(url) as client:
            _wait(client, server)
            _show(client, to)
        out.print(f"\nDashboard: [bold]{url}[/]")
        if sys.stdin.isatty() and sys.stdout.isatty():
            err.print("serving until Ctrl-C")
            with suppress(KeyboardInterrupt):
                server.wait()
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_S)
        server.kill()


def _show(client: Client, to: Path) -> None:
    job = client.submit(SPEC, idempotency_key="demo")
    out.print(f"Searching [bold]{SPEC['workload']}[/] on [bold]{SPEC['target']}[/]: job {job['id']}")
    started = time.monotonic()
    job = watch(lambda: client.job(job["id"]))
    if job["state"] != "succeeded":
        err.print(f"[red]error:[/] the job {job['state']}: {job['reason']}")
        raise typer.Exit(FAILED)
    front = client.front(job["id"])
    count, seconds = len(front["trials"]), time.monotonic() - started
    out.print(
        f"\n{count} non-dominated of {job['progress']['trials']['done']} trials after {seconds:.0f} s\n"
    )
    out.print(front_table(front))
    note = optimism_note(front)
    if note is not None:
        out.print(f"\nOn data that the search has not seen: {note}.", soft_wrap=True)
    recipe, artifact = to / "recipe.yaml", to / "artifact.onnx"
    write_aside(recipe, client.recipe(job["id"], max_accuracy_drop=0.01))
    client.artifact(job["id"], front["chosen"], artifact)
    found = (
        "The fastest within one point of accuracy is"
        if front["constraints_met"]
        else "None is within one point once it is trained again with other seeds; the nearest is"
    )
    out.print(f"\n{found} trial {front['chosen']}: {recipe}, {artifact}", soft_wrap=True)
    out.print("Verifying its claims in a fresh process:\n")
    sys.stdout.flush()
    command = [sys.executable, "-m", "tauten", "verify", str(recipe), "--workload", SPEC["workload"]]
    code = subprocess.run(command, check=False).returncode  # noqa: S603
    if code:
        raise typer.Exit(code)


def _serve(url: str, data: Path) -> subprocess.Popen[bytes]:
    port = url.rpartition(":")[2]
    log = (data.parent / "serve.log").open("wb")
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "tauten", "serve", "--port", port, "--data", str(data)],
        stdout=log,
        stderr=log,
        env={name: value for name, value in os.environ.items() if name != "TAUTEN_DATABASE"},
        start_new_session=True,
    )


def _wait(client: Client, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while not client.is_ready():
        if server.poll() is not None or time.monotonic() > deadline:
            raise RemoteError("the service did not start; its log is serve.log in the output directory")
        time.sleep(0.1)


def _free_port() -> int:
    for port in (DEFAULT_PORT, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise RemoteError("no port is free on 127.0.0.1")
