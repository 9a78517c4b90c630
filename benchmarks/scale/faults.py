"""What becomes of a job whose nodes, head or controller are killed in the middle of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.faults.ground import wait_until
from benchmarks.scale.jobs import Room, room, spec_of
from benchmarks.scale.nodes import node, nodes
from benchmarks.scale.sleeper import Sleeper
from benchmarks.table import Row
from search.resources import Resources
from search.trial import TrialState

if TYPE_CHECKING:
    from pathlib import Path

    from search.job import Job

TRIALS: Final = 24
TRIAL_S: Final = 0.5
SOME: Final = 6
"""Trials that have ended when the fault comes."""


def killed_node(directory: Path) -> Row:
    """A second raylet is killed while its evaluators work."""
    from search.runners.ray_cluster import RayCrew, connect

    with nodes(2) as cluster, room(directory) as place:
        second = cluster.add_node(**node(2))
        cluster.wait_for_nodes()
        connect(cluster.address)
        job, _ = place.store.submit(spec_of(TRIALS, workers=4))

        def kill() -> None:
            _wait_for(place, job, SOME)
            cluster.remove_node(second, allow_graceful=False)

        killer = threading.Thread(target=kill)
        killer.start()
        make = partial(Sleeper, seconds=TRIAL_S)
        place.go_on(job.id, lambda idle: RayCrew(make, 4, Resources(), directory / "back", idle))
        killer.join()
        return _row("a node of two is killed", place, job)


def killed_controller(directory: Path) -> Row:
    """The controller is killed; the next goes on."""
    with nodes(2) as cluster, room(directory) as place:
        job, _ = place.store.submit(spec_of(TRIALS, workers=2))
        first = _controller(cluster.address, directory, job)
        _wait_for(place, job, SOME)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        _controller(cluster.address, directory, job).wait()
        return _row("the controller is killed, another goes on", place, job)


def restarted_head(directory: Path) -> Row:
    """The head is killed with all that it knows; a controller goes on with the next head."""
    with room(directory) as place:
        job, _ = place.store.submit(spec_of(TRIALS, workers=2))
        with nodes(2) as cluster:
            first = _controller(cluster.address, directory, job)
            _wait_for(place, job, SOME)
            cluster.remove_node(cluster.head_node, allow_graceful=False)
            wait_until(lambda: first.poll() is not None, "the end of a controller without a head", 120)
        with nodes(2) as cluster:
            _controller(cluster.address, directory, job).wait()
        return _row("the head is killed and started anew", place, job)


def _controller(address: str, directory: Path, job: Job) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.scale.controller", "--address", address]
    command += ["--room", str(directory), "--job", job.id, "--trial-s", str(TRIAL_S)]
    return subprocess.Popen(command)  # noqa: S603


def _wait_for(place: Room, job: Job, trials: int) -> None:
    wait_until(lambda: place.store.job(job.id).progress.done >= trials, f"{trials} trials")


def _row(what: str, place: Room, job: Job) -> Row:
    """Whether all trials of the budget ended once, and once only."""
    ended: Counter[Any] = Counter()
    cut_off = after = 0
    while events := place.store.events(job.id, after=after):
        after = events[-1].seq
        ended.update(event.data["trial"] for event in events if event.kind == "trial.finished")
        cut_off += sum(event.kind == "trial.lost" for event in events)
    trials = place.store.all_trials(job.id)
    completed = sum(trial.state is TrialState.COMPLETED for trial in trials)
    doubled = sum(count - 1 for count in ended.values())
    state = place.store.job(job.id).state
    return Row(
        f"{what}, a job of {TRIALS} trials",
        "exact budget, no loss",
        f"{completed} completed, {len(trials) - completed} lost, {doubled} doubled",
        f"{cut_off} evaluations cut off, job {state}",
        completed == len(trials) == TRIALS and doubled == 0 and state == "succeeded",
    )
