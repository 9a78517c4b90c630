"""The whole way: a search, then its trials on another target by a worker, as a user sees it."""

import json

import pytest

from tests.processes import served, tauten, wait_until

SPEC = {
    "workload": "digits-cnn",
    "objectives": ["accuracy", "latency_ms", "size_bytes"],
    "space": {"students": [None], "recovery": [None]},
    "sampler": "random",
    "budget": {"trials": 2},
}


@pytest.mark.slow
def test_finished_trials_are_scored_on_another_target_by_a_worker(tmp_path):
    with served(tmp_path) as server:
        client, url = server.client, ["--url", server.client.url, "--json"]
        first = client.submit(SPEC)["id"]
        wait_until(lambda: client.job(first)["state"] == "succeeded", 240)
        before = {trial["trial"]: trial for trial in client.trials(first)}
        done = tauten("job", "retarget", first, "--target", "stm32h743", "--watch", *url)
        job = json.loads(done.stdout)
        trials = list(client.trials(job["id"]))
        front = client.front(job["id"])
        recipe = client.recipe(job["id"])
        kinds = [event["kind"] for event in client.events(job["id"])]
        wrong = tauten("job", "retarget", first, "--target", "a100", "--trials", "x", *url)

    assert (job["state"], job["source"]["job"]) == ("succeeded", first), done.stderr
    assert [trial["trial"] for trial in trials] == sorted(before)
    for trial in trials:
        was = before[trial["trial"]]
        assert trial["state"] == "completed", trial["reason"]
        assert trial["artifact"] == was["artifact"]
        assert trial["metrics"]["accuracy"]["value"] == was["metrics"]["accuracy"]["value"]
        assert trial["metrics"]["latency_ms"]["method"] == "modelled"
        assert trial["before"] == {
            "target": "local-cpu", "metrics": was["metrics"], "executed_as": was["executed_as"]
        }  # fmt: skip
        assert trial["violates"].keys() <= {"peak_memory_bytes", "packed_size_bytes"}
    assert front["method"] == "measured+modelled"
    assert all("accuracy_test" in trial for trial in front["trials"])
    assert "channel_multiple: 8" in recipe  # what the artifact was shaped for, not what the board has
    assert kinds.count("trial.finished") == len(before)
    assert (wrong.returncode, "all, front or trial numbers" in wrong.stderr) == (2, True)
