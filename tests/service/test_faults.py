"""Processes are killed in mid-search; the job ends as if nothing had happened."""

import signal
import threading
from contextlib import closing

import httpx
import pytest

from search.job import JobState
from storage import Database, Store
from tests.processes import all_gone, served, wait_until

pytestmark = pytest.mark.slow

# Objectives without timing, so that the same seed must give the same search; short recoveries, so that it is quick.
TRIALS = 4
SPEC = {
    "workload": "digits-cnn",
    "objectives": ["accuracy", "size_bytes"],
    "space": {"students": [None], "recovery": [{"epochs": 0.25}]},
    "budget": {"trials": TRIALS},
    "sampler": "nsga2",
    "seed": 3,
}


def result(server, job):
    """What must not depend on disturbances: every trial in order, and the front.

    A gated trial has no accuracy; whether one is gated depends on the CPU's rounding, not on disturbances.
    """
    trials = [
        (
            trial["trial"],
            trial["state"],
            trial["policy_digest"],
            trial["metrics"].get("accuracy", {}).get("value"),
            trial["metrics"]["size_bytes"]["value"],
        )
        for trial in server.client.trials(job)
    ]
    front = server.client.front(job)
    return trials, [trial["trial"] for trial in front["trials"]], front["chosen"], front["hypervolume"]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with served(tmp_path_factory.mktemp("faults")) as server:
        yield server


@pytest.fixture
def server(running):
    """The one server of all these tests, running and with nothing to do."""
    if running.process.poll() is not None:
        running.start()
    for job in running.client.jobs():
        if job["state"] not in {"succeeded", "failed", "cancelled"}:
            running.client.cancel(job["id"])
            running.wait(job["id"], "cancelled")
    return running


@pytest.fixture(scope="module")
def undisturbed(running):
    job = running.client.submit(SPEC)["id"]
    assert running.wait(job, "succeeded", "failed")["state"] == "succeeded"
    return result(running, job)


def wait_for_running(server, job, number):
    """Until a trial of that number or a later one runs."""

    def is_running():
        return any(
            trial["state"] == "running" and trial["trial"] >= number for trial in server.client.trials(job)
        )

    wait_until(is_running, 120, f"trial {number}")


def check_whole(server, job, undisturbed):
    job = server.wait(job, "succeeded", "failed")
    found = result(server, job["id"])
    assert job["state"] == "succeeded", job["reason"]
    assert job["progress"]["trials"] == {"done": TRIALS, "total": TRIALS}
    assert [trial[0] for trial in found[0]] == list(range(len(found[0])))
    assert sum(trial[1] != "gated" for trial in found[0]) == TRIALS
    assert found == undisturbed


def test_a_worker_and_then_its_server_that_are_killed_lose_and_double_nothing(server, undisturbed):
    job = server.client.submit(SPEC)["id"]
    wait_for_running(server, job, 1)
    worker = server.worker()
    below = worker.children(recursive=True)
    worker.kill()
    assert below
    assert all_gone([worker, *below])

    wait_for_running(server, job, 2)
    assert server.client.job(job)["attempt"] == 2
    below = server.children()
    server.process.kill()
    server.process.wait()
    assert len(below) >= 2  # a worker and its evaluating process
    assert all_gone(below)

    server.start()
    check_whole(server, job, undisturbed)


def test_an_evaluating_process_that_is_killed_fails_its_trial_and_no_other(server):
    job = server.client.submit(SPEC | {"budget": {"trials": 2}})["id"]
    wait_for_running(server, job, 0)
    (evaluating,) = server.worker().children()
    evaluating.kill()
    assert server.wait(job, "succeeded", "failed")["state"] == "succeeded"
    trials = list(server.client.trials(job))

    assert [(trial["trial"], trial["state"]) for trial in trials] == [(0, "failed"), (1, "completed")]
    assert trials[0]["reason"] == "the evaluation failed: evaluators.process has ended by signal SIGKILL"
    assert trials[0]["seconds"] < 60


def test_pausing_cancelling_and_stopping_reach_a_running_trial(server):
    slow = SPEC | {"space": {"students": [None], "recovery": [{"epochs": 60}]}}
    job = server.client.submit(slow)["id"]
    wait_until(lambda: any(trial["state"] == "running" for trial in server.client.trials(job)))
    worker = server.worker()

    server.client.pause(job)
    wait_until(lambda: len(worker.children()) == 0, 5, "the end of the paused trial")
    server.client.resume(job)
    wait_until(lambda: len(worker.children()) > 0, 30, "the resumed trial")

    ended = []
    stream = threading.Thread(target=lambda: ended.append(_read(server, job)))
    stream.start()
    server.client.cancel(job)
    assert server.wait(job, "cancelled", timeout_s=5)["reason"] == "cancelled on request"
    stream.join(10)
    assert "cancelling" in ended[0]

    second = server.client.submit(slow | {"seed": 4})["id"]
    server.wait(second, "running", timeout_s=20)
    idle_stream = threading.Thread(target=_read, args=(server, second))
    idle_stream.start()
    wait_for_running(server, second, 0)
    below = server.children()
    server.process.terminate()
    assert server.process.wait(12) in {0, -signal.SIGTERM}  # uvicorn raises it again once it has ended
    assert all_gone(below, 1)
    idle_stream.join(10)
    assert not idle_stream.is_alive()
    assert _stored(server, second).state is JobState.QUEUED


def _stored(server, job):
    database = Database(f"sqlite:///{server.data}/tauten.db")
    with closing(database):
        return Store(database).job(job)


def _read(server, job):
    with httpx.stream("GET", f"{server.client.url}/api/v1/jobs/{job}/events", timeout=60) as response:
        return "".join(response.iter_text())
