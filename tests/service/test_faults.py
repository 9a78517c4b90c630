"""Processes are killed in mid-search; the job ends as if nothing had happened."""

import threading

import httpx
import pytest

from tests.processes import all_gone, served, wait_until

pytestmark = pytest.mark.slow

# Objectives without timing, so that the same seed must give the same search; short recoveries, so that it is quick.
SPEC = {
    "workload": "digits-cnn",
    "objectives": ["accuracy", "size_bytes"],
    "space": {"students": [None], "recovery": [{"epochs": 0.25}]},
    "budget": {"trials": 8},
    "sampler": "nsga2",
    "seed": 3,
}


def result(server, job):
    """What must not depend on disturbances: every trial in order, and the front."""
    trials = [
        (
            trial["trial"],
            trial["state"],
            trial["policy_digest"],
            trial["metrics"]["accuracy"]["value"],
            trial["metrics"]["size_bytes"]["value"],
        )
        for trial in server.client.trials(job)
    ]
    front = server.client.front(job)
    return trials, [trial["trial"] for trial in front["trials"]], front["chosen"], front["hypervolume"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    with served(tmp_path_factory.mktemp("undisturbed")) as server:
        job = server.client.submit(SPEC)["id"]
        assert server.wait(job, "succeeded", "failed")["state"] == "succeeded"
        yield result(server, job)


def check_whole(server, job, undisturbed):
    job = server.wait(job, "succeeded", "failed")
    found = result(server, job["id"])
    assert job["state"] == "succeeded", job["reason"]
    assert job["progress"]["trials"] == {"done": 8, "total": 8}
    assert [trial[0] for trial in found[0]] == list(range(8))
    assert found == undisturbed


def test_a_worker_that_is_killed_twice_loses_and_doubles_nothing(tmp_path, undisturbed):
    with served(tmp_path) as server:
        job = server.client.submit(SPEC)["id"]
        for count in (2, 5):
            wait_until(lambda count=count: server.done(job) >= count)
            worker = server.worker()
            below = worker.children(recursive=True)
            worker.kill()
            assert all_gone([worker, *below])
        check_whole(server, job, undisturbed)
        assert server.client.job(job)["attempt"] == 3


def test_a_server_that_is_killed_takes_its_processes_along_and_goes_on_when_started(tmp_path, undisturbed):
    with served(tmp_path) as server:
        job = server.client.submit(SPEC)["id"]
        for count in (1, 4):
            wait_until(lambda count=count: server.done(job) >= count)
            below = server.children()
            server.process.kill()
            server.process.wait()
            assert all_gone(below)
            server.start()
        check_whole(server, job, undisturbed)


def test_pausing_cancelling_and_stopping_reach_a_running_trial(tmp_path):
    slow = SPEC | {"space": {"students": [None], "recovery": [{"epochs": 60}]}}
    with served(tmp_path) as server:
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
        below = server.children()
        server.process.terminate()
        server.process.wait(15)
        assert all_gone(below)
        idle_stream.join(10)
        server.start()
        assert server.client.job(second)["state"] in {"queued", "running"}


def _read(server, job):
    with httpx.stream("GET", f"{server.client.url}/api/v1/jobs/{job}/events", timeout=60) as response:
        return "".join(response.iter_text())
