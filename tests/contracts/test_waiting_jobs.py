"""What is said of jobs that nobody takes, on both databases."""

from dataclasses import replace

import pytest

from search.job import JobState
from storage import WorkerList
from tests.contracts.samples import SPEC


@pytest.fixture
def workers(store):
    return WorkerList(store._database)


def explained(store, job):
    count = store.explain_waiting(patience_s=0)
    return count, store.job(job.id).reason


def test_a_job_says_that_nobody_is_there_and_then_that_nobody_offers_its_target(store, workers):
    job, _ = store.submit(SPEC)
    assert explained(store, job) == (1, "no worker is there; start one with: tauten worker")
    workers.enter("w1", "here", ("a100", "v100"))
    offered = "no worker offers target 'local-cpu'; start one with: tauten worker --offers local-cpu"
    assert explained(store, job) == (1, offered)
    assert explained(store, job) == (0, offered)
    told = [event.data["reason"] for event in store.events(job.id) if event.kind == "job.state"]
    assert told == [None, "no worker is there; start one with: tauten worker", offered]


@pytest.mark.parametrize("offers", [(), ("a100", "local-cpu")])
def test_it_is_taken_back_once_a_worker_takes_such_jobs(store, workers, offers):
    job, _ = store.submit(SPEC)
    store.explain_waiting(patience_s=0)
    workers.enter("w1", "here", offers)
    assert explained(store, job) == (1, None)
    assert store.events(job.id)[-1].data == {"state": "queued", "reason": None}
    assert explained(store, job) == (0, None)


def test_a_worker_that_stopped_takes_nothing(store, workers):
    job, _ = store.submit(SPEC)
    workers.enter("w1", "here")
    assert explained(store, job) == (0, None)
    workers.leave("w1")
    assert explained(store, job)[0] == 1


def test_each_target_is_spoken_of_by_itself(store, workers):
    here, _ = store.submit(SPEC)
    there, _ = store.submit(replace(SPEC, target="a100"))
    workers.enter("w1", "here", ("a100",))
    assert store.explain_waiting(patience_s=0) == 1
    assert "local-cpu" in store.job(here.id).reason
    assert store.job(there.id).reason is None


def test_jobs_that_run_have_just_come_or_wait_for_another_reason_are_left_alone(store, workers, worker):
    store.submit(SPEC)
    claim = store.claim(worker)
    assert store.explain_waiting(patience_s=0) == 0
    claim.release(JobState.QUEUED, "the server stopped")
    workers.enter("w1", "here")
    assert explained(store, claim.job) == (0, "the server stopped")
    workers.leave("w1")
    assert store.explain_waiting(patience_s=60) == 0
    assert explained(store, claim.job)[0] == 1
