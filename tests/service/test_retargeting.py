"""Scoring a finished job's trials on another target, over HTTP; workers are not needed to ask for it."""

import pytest

from search.job import JobState
from search.spec import JobSpec
from storage import WorkerLock
from tests.service.samples import REFERENCE, SPEC, TRIALS
from tests.service.test_api import get
from tests.service.test_bad_input import check_problem


def retarget(client, job, **body):
    return client.post(f"/api/v1/jobs/{job}/retarget", json={"target": "raspberry-pi-5", **body})


def test_the_answer_is_a_job_whose_trials_wait_beside_what_they_scored(client, searched):
    response = retarget(client, searched)

    job = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert job["source"] == {"job": searched, "target": "local-cpu"}
    assert (job["state"], job["spec"]["target"], job["progress"]["trials"]["total"]) == (
        "queued",
        "raspberry-pi-5",
        4,
    )
    assert job["spec"]["source"]["provenance"] == REFERENCE["provenance"]
    assert job["spec"]["constraints"] == {"accuracy_drop": {"max": 0.01}}
    trials = get(client, f"/api/v1/jobs/{job['id']}/trials")["items"]
    assert [(trial["trial"], trial["state"]) for trial in trials] == [
        (number, "waiting") for number in (0, 1, 2, 4)
    ]
    assert trials[1]["metrics"] == {}
    assert trials[1]["before"]["metrics"]["latency_ms"]["value"] == TRIALS[1][1]
    assert trials[1]["before"]["target"] == "local-cpu"
    assert get(client, f"/api/v1/jobs/{searched}")["source"] is None


@pytest.mark.parametrize(("which", "numbers"), [("front", [0, 1, 4]), ([4, 1, 4], [1, 4])])
def test_some_trials_objectives_and_constraints_can_be_asked_for(client, searched, which, numbers):
    asked = {"objectives": ["accuracy", "latency_ms"], "constraints": {"latency_ms": {"max": 5}}}
    job = retarget(client, searched, trials=which, priority=3, keep="front", **asked).json()
    trials = get(client, f"/api/v1/jobs/{job['id']}/trials")["items"]
    assert [trial["trial"] for trial in trials] == numbers
    assert (job["priority"], job["keep"]) == (3, "front")
    assert job["spec"]["objectives"] == asked["objectives"]
    assert job["spec"]["constraints"] == asked["constraints"]


def test_the_targets_own_limits_hold_and_the_former_ones_end_with_it(client, store, settings, searched):
    first = retarget(client, searched, target="stm32h743").json()
    limits = first["spec"]["constraints"]
    assert set(limits) > {"accuracy_drop"}
    client.post(f"/api/v1/jobs/{first['id']}/cancel")
    with WorkerLock(settings.data_dir) as lock:
        store.submit(JobSpec.from_dict(first["spec"]))
        claim = store.claim(lock)
        claim.set_reference(REFERENCE)
        waiting = store.trial(searched, 1)
        claim.finish(waiting, claim.job.progress)
        claim.release(JobState.SUCCEEDED)
    second = retarget(client, claim.job.id, target="a100").json()
    assert second["spec"]["constraints"] == {"accuracy_drop": {"max": 0.01}}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"target": "toaster"}, "/target"),
        ({"trials": [3]}, "/trials"),
        ({"trials": []}, "/trials"),
        ({"trials": "some"}, "/trials"),
        ({"objectives": ["beauty"]}, "/objectives/0"),
        ({"objectives": []}, "/objectives"),
        ({"objectives": ["accuracy", "energy_mj"], "target": "local-cpu"}, "/objectives/1"),
        ({"constraints": {"latency_ms": {}}}, "/constraints/latency_ms"),
        ({"sampler": "tpe"}, "/sampler"),
        ({"priority": 1000}, "/priority"),
    ],
)
def test_what_is_wrong_is_pointed_at_and_nothing_is_stored(client, searched, body, pointer):
    problem = check_problem(retarget(client, searched, **body), 422)
    assert any(error["pointer"].startswith(pointer) for error in problem["errors"]), problem
    assert len(get(client, "/api/v1/jobs")["items"]) == 1


def test_a_job_that_has_not_ended_or_is_unknown_is_refused(client):
    waiting = client.post("/api/v1/jobs", json=SPEC).json()
    assert "queued" in check_problem(retarget(client, waiting["id"]), 409)["detail"]
    check_problem(retarget(client, "nothing"), 404)


def test_a_submission_cannot_claim_to_come_from_another_job(client, searched):
    source = retarget(client, searched).json()["spec"]["source"]
    problem = check_problem(client.post("/api/v1/jobs", json=SPEC | {"source": source}), 422)
    assert problem["errors"][0]["pointer"] == "/source"


def test_the_same_key_answers_with_the_same_job(client, searched):
    headers = {"Idempotency-Key": "mine"}
    path = f"/api/v1/jobs/{searched}/retarget"
    answers = [client.post(path, json={"target": "a100"}, headers=headers) for _ in range(2)]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    check_problem(client.post(path, json={"target": "v100"}, headers=headers), 422)
