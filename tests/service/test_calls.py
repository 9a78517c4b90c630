"""Conditional and repeated requests, comparisons, profiles, exports, workers, figures and readiness."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from search.job import JobState
from search.spec import JobSpec
from service import room
from storage import ArtifactStore, WorkerList, WorkerLock
from tests.contracts.samples import progress
from tests.service.conftest import finished_search
from tests.service.samples import SPEC, TRIALS, finished
from tests.service.test_api import get
from tests.service.test_bad_input import check_problem


def test_a_job_is_sent_again_only_when_it_has_changed(client):
    job = client.post("/api/v1/jobs", json=SPEC)
    path, tag = f"/api/v1/jobs/{job.json()['id']}", job.headers["etag"]
    unchanged = client.get(path, headers={"If-None-Match": f'"x", W/{tag}'})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", tag)
    client.post(f"{path}/pause")
    changed = client.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] == f'"r{changed.json()["revision"]}"' != tag


def test_a_write_to_a_job_that_has_changed_is_refused(client):
    job = client.post("/api/v1/jobs", json=SPEC)
    path, tag = f"/api/v1/jobs/{job.json()['id']}", job.headers["etag"]
    paused = client.post(f"{path}/pause", headers={"If-Match": tag})
    assert paused.status_code == 200
    calls = [("POST", "/pause"), ("POST", "/resume"), ("POST", "/cancel"), ("DELETE", ""), ("PATCH", "")]
    for stale in (tag, "nonsense", f"W/{paused.headers['etag']}"):
        for method, call in calls:
            body = {"json": {"budget": {"trials": 50}}} if method == "PATCH" else {}
            response = client.request(method, path + call, headers={"If-Match": stale}, **body)
            check_problem(response, 412)
    assert get(client, path) == paused.json()
    assert client.post(f"{path}/resume", headers={"If-Match": paused.headers["etag"]}).status_code == 200
    assert client.post(f"{path}/cancel", headers={"If-Match": "*"}).status_code == 200


def test_the_front_is_sent_again_only_when_the_job_has_changed(client, searched):
    first = client.get(f"/api/v1/jobs/{searched}/front")
    again = client.get(f"/api/v1/jobs/{searched}/front", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)


def test_a_key_in_flight_is_refused_and_makes_one_job(client, store, monkeypatch):
    begun, may_end = threading.Event(), threading.Event()
    submit = type(store).submit

    def slow(*arguments, **named):
        begun.set()
        assert may_end.wait(10)
        return submit(*arguments, **named)

    monkeypatch.setattr(type(store), "submit", slow)
    headers = {"Idempotency-Key": "mine"}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/api/v1/jobs", json=SPEC, headers=headers)
        assert begun.wait(10)
        second = client.post("/api/v1/jobs", json=SPEC, headers=headers)
        may_end.set()
    assert "idempotency key 'mine'" in check_problem(second, 409)["detail"]
    assert second.headers["retry-after"] == "1"
    third = client.post("/api/v1/jobs", json=SPEC, headers=headers)
    assert first.result().json() == third.json()
    assert len(store.jobs().items) == 1


def test_a_submission_may_have_a_priority_and_say_what_to_keep(client):
    job = client.post("/api/v1/jobs", json=SPEC | {"priority": 7, "keep": "front"}).json()
    assert (job["priority"], job["keep"]) == (7, "front")
    assert "priority" not in job["spec"]
    for body, pointer in (({"priority": 101}, "/priority"), ({"keep": "some"}, "/keep")):
        problem = check_problem(client.post("/api/v1/jobs", json=SPEC | body), 422)
        assert problem["errors"][0]["pointer"] == pointer


def test_a_comparison_shows_only_what_differs(client, searched):
    document = get(client, f"/api/v1/jobs/{searched}/compare?trials=1,4,3")
    assert document["trials"] == [1, 4, 3]
    assert document["states"] == ["completed", "completed", "infeasible"]
    assert document["policy"] == [
        {"pointer": "/layers/stem.0/prune/ratio", "values": [0.1, 0.4, pytest.approx(0.3)]}
    ]
    assert document["executed_as"] == [
        {"layer": "stem.0", "values": ["int8", "int8", None]},
        {"layer": "head", "values": ["float32", "float32", None]},
    ]
    accuracy = next(metric for metric in document["metrics"] if metric["metric"] == "accuracy")
    assert accuracy["differences"] == [0, pytest.approx(TRIALS[4][0] - TRIALS[1][0]), None]
    assert accuracy["values"][0] == get(client, f"/api/v1/jobs/{searched}/trials/1")["metrics"]["accuracy"]


@pytest.mark.parametrize(
    "trials", ["", "1", "1,1", "1,x", "-1,2", "1,2,", ",".join(map(str, range(9))), "9" * 30 + ",1"]
)
def test_what_cannot_be_compared_is_refused(client, searched, trials):
    response = client.get(f"/api/v1/jobs/{searched}/compare", params={"trials": trials})
    assert check_problem(response, 422)["errors"][0]["pointer"] == "/trials"


def test_a_comparison_with_an_unknown_trial_is_not_found(client, searched):
    check_problem(client.get(f"/api/v1/jobs/{searched}/compare?trials=1,99"), 404)


def test_the_profile_of_a_job_is_to_be_had_once_it_is_stored(client, store, settings):
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    check_problem(client.get(f"/api/v1/jobs/{job.id}/profile"), 404)
    with WorkerLock(settings.data_dir) as lock:
        store.claim(lock).store_profile("sha256:aa", {"layers": {"stem.0": [0.1]}})
    assert get(client, f"/api/v1/jobs/{job.id}/profile") == {"layers": {"stem.0": [0.1]}}


def test_trials_are_streamed_as_lines_of_json(client, searched):
    response = client.get(f"/api/v1/jobs/{searched}/trials", headers={"Accept": "application/x-ndjson"})
    listed = get(client, f"/api/v1/jobs/{searched}/trials")["items"]
    assert response.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in response.text.splitlines()] == listed
    some = client.get(
        f"/api/v1/jobs/{searched}/trials?state=infeasible", headers={"Accept": "application/x-ndjson"}
    )
    assert [json.loads(line)["trial"] for line in some.text.splitlines()] == [3]


def test_a_damaged_artifact_is_not_sent(client, searched, settings):
    digest = get(client, f"/api/v1/jobs/{searched}/trials/1")["artifact"]["digest"]
    ArtifactStore(settings.artifacts_dir).path(digest).write_bytes(b"artifact x")
    response = client.get(f"/api/v1/jobs/{searched}/trials/1/artifact")
    assert response.status_code == 503
    assert "damaged" in response.json()["detail"]


def test_deleting_a_job_frees_its_files(client, store, settings, monkeypatch):
    monkeypatch.setattr("service.routes.jobs.DELETED_S", -1)
    first, second = (finished_search(store, settings.data_dir) for _ in range(2))
    artifacts = ArtifactStore(settings.artifacts_dir)
    present = set(artifacts.digests())
    assert len(present) == 4
    assert client.delete(f"/api/v1/jobs/{first}").status_code == 204
    assert set(artifacts.digests()) == present  # the other job has them too
    assert client.delete(f"/api/v1/jobs/{second}").status_code == 204
    assert set(artifacts.digests()) == set()


def test_a_job_that_keeps_no_artifacts_says_so(client, store, settings):
    client.post("/api/v1/jobs", json=SPEC | {"keep": "none"})
    artifacts = ArtifactStore(settings.artifacts_dir)
    with WorkerLock(settings.data_dir) as lock:
        claim = store.claim(lock)
        claim.finish(next(finished(artifacts, settings.data_dir)), progress(1, 5))
        claim.release(JobState.SUCCEEDED)
    path = f"/api/v1/jobs/{claim.job.id}"
    for call in (f"{path}/trials/0/artifact", f"{path}/recipe?trial=0"):
        assert "keeps none of its artifacts" in check_problem(client.get(call), 409)["detail"]
    problem = check_problem(client.patch(path, json={"budget": {"trials": 50}}), 409)
    assert "keep: all" in problem["detail"]


def test_workers_are_listed(client, store, settings):
    workers = WorkerList(store._database)
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    with WorkerLock(settings.data_dir) as lock:
        workers.enter(lock.id, "here", ("local-cpu",))
        store.claim(lock)
        (worker,) = get(client, "/api/v1/workers")["items"]
    assert (worker["host"], worker["state"], worker["job"]) == ("here", "busy", job.id)
    assert worker["offers"] == ["local-cpu"]


def test_figures_tell_queue_trials_workers_and_requests(client, store, settings, searched):
    store.submit(JobSpec.from_dict(SPEC))
    WorkerList(store._database).enter("w", "here")
    client.get("/api/v1/jobs")
    client.get(f"/api/v1/jobs/{searched}")
    text = client.get("/metrics").text
    for line in (
        'tauten_jobs{state="queued"} 1.0',
        'tauten_jobs{state="succeeded"} 1.0',
        'tauten_trials_total{state="completed"} 4.0',
        'tauten_trial_seconds_total{state="completed"} 8.0',
        'tauten_workers{state="idle"} 1.0',
        'tauten_http_request_seconds_count{method="GET",route="/jobs/{job_id}",status="200"} 1.0',
        "tauten_event_streams 0.0",
    ):
        assert line in text, text
    assert searched not in text


def test_the_lag_of_events_is_told(client, searched):
    client.get(f"/api/v1/jobs/{searched}/events")
    count = next(line for line in client.get("/metrics").text.splitlines() if "lag_seconds_count" in line)
    assert float(count.split()[-1]) > 5


def test_a_service_without_room_is_not_ready_until_there_is(client, monkeypatch):
    usage = room.shutil.disk_usage
    monkeypatch.setattr(room.shutil, "disk_usage", lambda path: usage(path)._replace(free=1 << 20))
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "room for 1 MiB more" in response.json()["detail"]
    assert client.get("/api/v1/jobs").status_code == 200  # what is there can still be read
    monkeypatch.undo()
    assert client.get("/readyz").status_code == 200
