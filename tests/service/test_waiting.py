"""A job for a target that is measured elsewhere waits, says why, and runs once a worker there offers it."""

from service.recurring import Recurring
from storage import WorkerList
from tests.processes import wait_until
from tests.service.samples import SPEC


def test_why_a_job_waits_is_seen_over_http_without_asking_twice(client, store):
    job = client.post("/api/v1/jobs", json=SPEC).json()
    WorkerList(store._database).enter("w", "elsewhere", ("another",))
    store.explain_waiting(patience_s=0)
    with Recurring(store.explain_waiting, 0.05, "cannot explain"):
        WorkerList(store._database).enter("x", "here", ("local-cpu",))
        seen = wait_until(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["reason"] is None, 20)
    assert seen
    kinds = [
        event["data"] for event in client.get(f"/api/v1/jobs/{job['id']}/events?after=1").json()["items"]
    ]
    assert kinds[0]["reason"].startswith("no worker offers target 'local-cpu'")
