import csv
import io
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace

import pytest
import yaml
from starlette.testclient import TestClient

from recipes import Recipe
from search.job import JobState
from service.app import create_app
from service.wording import optimism_note
from spaces import LayerInfo, LayerInventory, PruneGroup
from storage import WorkerLock
from tests.service.conftest import finished_search
from tests.service.samples import SPEC, TRIALS


def get(client, path, **options):
    response = client.get(path, **options)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_job_is_created_found_listed_and_deleted(client):
    created = client.post("/api/v1/jobs", json=SPEC)
    job = created.json()

    assert created.status_code == 201
    assert created.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["state"], job["progress"]["trials"]) == ("queued", {"done": 0, "total": 5})
    assert job["spec"]["objectives"] == ["accuracy", "latency_ms", "size_bytes"]
    assert get(client, f"/api/v1/jobs/{job['id']}") == job
    assert get(client, "/api/v1/jobs") == {"items": [job], "next_cursor": None}
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 409
    assert client.post(f"/api/v1/jobs/{job['id']}/cancel").json()["state"] == "cancelled"
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 204
    assert client.get(f"/api/v1/jobs/{job['id']}").status_code == 404


def test_a_key_makes_a_submission_happen_once(client):
    headers = {"Idempotency-Key": "mine"}
    first, second = (client.post("/api/v1/jobs", json=SPEC, headers=headers) for _ in range(2))
    other = client.post("/api/v1/jobs", json=SPEC | {"seed": 1}, headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert first.headers["location"] == second.headers["location"]
    assert other.status_code == 422
    assert "'mine'" in other.json()["detail"]
    assert len(get(client, "/api/v1/jobs")["items"]) == 1


def test_jobs_are_listed_newest_first_page_by_page_and_filtered(client):
    ids = [client.post("/api/v1/jobs", json=SPEC | {"seed": seed}).json()["id"] for seed in range(5)]
    client.post(f"/api/v1/jobs/{ids[0]}/cancel")
    found, cursor = [], None
    while True:
        page = get(client, "/api/v1/jobs", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        found += [job["id"] for job in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break

    assert found == ids[::-1]
    assert [job["id"] for job in get(client, "/api/v1/jobs?state=cancelled")["items"]] == ids[:1]
    assert get(client, "/api/v1/jobs?workload=other")["items"] == []


def test_validation_tells_the_size_of_the_space_and_creates_nothing(client, store, digits, digits_model):
    from compression import take_inventory

    unknown = client.post("/api/v1/jobs/validate", json=SPEC).json()
    inventory = take_inventory(digits_model, digits.example_inputs()).to_dict()
    store.put_inventory("digits-cnn", {"students": [[None, inventory]]})
    known = client.post("/api/v1/jobs/validate", json=SPEC).json()

    assert (unknown["valid"], unknown["space_size"]) == (True, None)
    assert known["space_size"] == str(4**6 * 2**11)
    assert get(client, "/api/v1/jobs")["items"] == []


def test_the_estimated_cost_comes_from_earlier_jobs(client, searched):
    document = client.post("/api/v1/jobs/validate", json=SPEC | {"budget": {"trials": 10}}).json()

    assert document["trial_s"] == pytest.approx(2.5)
    assert document["finalists_s"] == pytest.approx(10)  # two at most, two trainings each
    assert document["expected_s"] == pytest.approx(35)
    assert (document["profile_s"], document["based_on"]) == (0, searched)


def test_a_sampler_of_another_package_is_refused_unless_the_settings_allow_it(settings, store):
    asked = SPEC | {"sampler": "optuna.samplers:RandomSampler"}
    for allowed, status in (((), 422), (("optuna.samplers:RandomSampler",), 200)):
        app = create_app(replace(settings, samplers=allowed))
        with TestClient(app, base_url="http://127.0.0.1") as client:
            answer = client.post("/api/v1/jobs/validate", json=asked)
            assert answer.status_code == status
            if status == 422:
                assert answer.json()["errors"][0]["pointer"] == "/sampler"


def test_seconds_bound_the_estimated_cost_and_a_profile_that_was_never_taken_is_unknown(client, searched):
    bounded = SPEC | {"budget": {"wall_s": 20}, "sampler": "guided"}
    document = client.post("/api/v1/jobs/validate", json=bounded).json()

    assert document["profile_s"] is None
    assert document["expected_s"] == pytest.approx(22.5)


def test_a_front_says_what_is_within_noise_and_how_its_choice_does_on_other_data(client, searched):
    front = get(client, f"/api/v1/jobs/{searched}/front?max_accuracy_drop=0.01")

    assert {trial["trial"]: trial["tied_with"] for trial in front["trials"]} == {0: [1], 1: [], 4: []}
    assert front["optimism"] == {
        "trial": 1, "validation": pytest.approx(0.005), "again": None, "test": 0.02, "test_low": 0.01,
        "test_high": 0.03, "gap": pytest.approx(0.015), "front_gap": pytest.approx(0.015), "allowed": 0.01,
        "holds": False,
    }  # fmt: skip
    assert optimism_note(front) == (
        "trial 1: accuracy drops 0.5 points on validation, and 2.0 points on the test split (1.0 to 3.0): "
        "more than the 1.0 points allowed; the search was 1.5 points too hopeful of it "
        "(1.5 points on average over the front)"
    )
    strict = get(client, f"/api/v1/jobs/{searched}/front?max_accuracy_drop=0")
    assert strict["chosen"] == 0
    assert strict["optimism"] is None
    assert optimism_note(strict) is None


def test_trials_carry_their_place_on_the_front(client, searched):
    items = get(client, f"/api/v1/jobs/{searched}/trials")["items"]

    assert [item["trial"] for item in items] == [0, 1, 2, 3, 4]
    assert [item["trial"] for item in items if item["on_front"]] == [0, 1, 4]
    assert items[1]["accuracy_test"]["value"] == 0.97
    assert items[3]["reason"].startswith("does not run as the policy says")
    assert items[4]["violates"]["accuracy_drop"] == pytest.approx(0.08)
    assert get(client, f"/api/v1/jobs/{searched}/trials/1") == items[1]
    assert len(get(client, f"/api/v1/jobs/{searched}/trials?state=infeasible")["items"]) == 1


def test_trials_are_listed_by_number_page_by_page(client, searched):
    found, cursor = [], None
    while True:
        parameters = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = get(client, f"/api/v1/jobs/{searched}/trials", params=parameters)
        found.append([trial["trial"] for trial in page["items"]])
        if (cursor := page["next_cursor"]) is None:
            break

    assert found == [[0, 1], [2, 3], [4]]


def test_the_front_has_reference_choice_and_knee(client, searched):
    front = get(client, f"/api/v1/jobs/{searched}/front")

    assert [trial["trial"] for trial in front["trials"]] == [4, 1, 0]
    assert (front["chosen"], front["constraints_met"], front["constraint_binding"]) == (
        1,
        True,
        "accuracy_drop",
    )
    assert front["reference"]["metrics"]["latency_ms"]["value"] == 0.4
    assert front["method"] == "measured"
    assert sum(trial["is_knee"] for trial in front["trials"]) == 1
    assert 0 < front["hypervolume"] < 1


def test_the_front_can_be_asked_for_other_objectives_and_another_choice(client, searched):
    two = get(client, f"/api/v1/jobs/{searched}/front?objectives=accuracy,size_bytes")
    loose = get(client, f"/api/v1/jobs/{searched}/front?max_accuracy_drop=0.5&minimize=size_bytes")

    assert two["objectives"] == ["accuracy", "size_bytes"]
    assert loose["chosen"] == 4


def test_a_front_before_any_trial_is_empty(client):
    job = client.post("/api/v1/jobs", json=SPEC).json()["id"]

    front = get(client, f"/api/v1/jobs/{job}/front")

    assert (front["trials"], front["chosen"], front["reference"]["metrics"]) == ([], None, {})
    assert client.get(f"/api/v1/jobs/{job}/recipe").status_code == 409


def test_the_hypervolume_rises_over_trials(client, searched):
    rows = get(client, f"/api/v1/jobs/{searched}/hypervolume")["items"]

    assert [row["trial"] for row in rows] == [0, 1, 2, 3, 4]
    volumes = [row["hypervolume"] for row in rows]
    assert volumes == sorted(volumes)
    assert volumes[-1] == pytest.approx(get(client, f"/api/v1/jobs/{searched}/front")["hypervolume"])


def test_trials_are_to_be_had_as_csv(client, searched):
    response = client.get(f"/api/v1/jobs/{searched}/trials", headers={"Accept": "text/csv"})
    rows = list(csv.DictReader(io.StringIO(response.text)))

    assert response.headers["content-type"].startswith("text/csv")
    assert len(rows) == 5
    assert float(rows[1]["latency_ms"]) == 0.1
    assert rows[1]["accuracy_test"] == "0.97"
    assert rows[3]["accuracy"] == ""
    assert rows[3]["reason"].startswith("does not run")


def test_the_recipe_is_of_the_chosen_trial_or_of_the_one_asked_for(client, searched):
    chosen = Recipe.from_yaml(client.get(f"/api/v1/jobs/{searched}/recipe").text)
    asked = Recipe.from_yaml(client.get(f"/api/v1/jobs/{searched}/recipe?trial=4").text)

    assert chosen.origin == {"job": searched, "trial": 1}
    assert chosen.claims["latency_ms"].value == 0.1
    assert chosen.claims["accuracy_test"].value == 0.97
    assert chosen.workload["model"] == "sha256:" + "aa" * 32
    assert "torch" in chosen.versions
    assert asked.origin["trial"] == 4


def test_a_recipe_comes_in_the_format_asked_for_with_what_that_cannot_say(client, store, searched):
    layers = (LayerInfo("stem.0", "conv", (64, 1, 3, 3), 36864, 576),)
    inventory = LayerInventory(layers, (PruneGroup("stem.0", ("stem.0",), 64),))
    store.put_inventory("digits-cnn", {"students": [[None, inventory.to_dict()]], "skipped": []})
    path = f"/api/v1/jobs/{searched}/recipe?format=onnxruntime"

    text, losses = client.get(path), client.get(f"{path}&losses=true")

    assert text.headers["content-type"].startswith("application/json")
    assert text.headers["content-disposition"] == f'inline; filename="recipe-{searched}-1.json"'
    assert text.json()["quantize_static"]["nodes_to_quantize"] == ["@stem.0@0"]
    assert int(text.headers["tauten-losses"]) == len(losses.json()["losses"]) > 0
    assert losses.json()["complete"] is False
    assert {"layer": "stem.0", "part": "prune"}.items() <= losses.json()["losses"][0].items()


def test_without_stored_layers_only_the_own_format_is_there(client, searched):
    assert client.get(f"/api/v1/jobs/{searched}/recipe?format=tauten").headers["tauten-losses"] == "0"
    refused = client.get(f"/api/v1/jobs/{searched}/recipe?format=nncf")

    assert refused.status_code == 409
    assert "use: tauten recipe convert" in refused.json()["detail"]


def test_the_artifact_comes_with_its_digest(client, searched):
    response = client.get(f"/api/v1/jobs/{searched}/trials/1/artifact")
    trial = get(client, f"/api/v1/jobs/{searched}/trials/1")

    assert response.content == b"artifact 1"
    assert response.headers["digest"] == trial["artifact"]["digest"].replace(":", "=", 1)
    assert response.headers["etag"] == f'"{trial["artifact"]["digest"]}"'
    assert f"{searched}-1.onnx" in response.headers["content-disposition"]


def sse(text):
    events = [
        dict(line.split(": ", 1) for line in block.splitlines()) for block in text.strip().split("\n\n")
    ]
    return [event for event in events if "id" in event]


def test_events_stream_until_the_job_has_ended_and_can_be_taken_up_again(client, searched):
    listed = get(client, f"/api/v1/jobs/{searched}/events?after=0")["items"]
    streamed = sse(client.get(f"/api/v1/jobs/{searched}/events").text)
    rest = sse(client.get(f"/api/v1/jobs/{searched}/events", headers={"Last-Event-ID": "6"}).text)

    assert [event["seq"] for event in listed] == list(range(1, len(listed) + 1))
    assert [int(event["id"]) for event in streamed] == [event["seq"] for event in listed]
    assert [event["event"] for event in streamed] == [event["kind"] for event in listed]
    assert [int(event["id"]) for event in rest] == list(range(7, len(listed) + 1))
    assert listed[-1]["data"]["state"] == "succeeded"


def test_a_job_that_waits_is_paused_resumed_and_cancelled(client):
    job = client.post("/api/v1/jobs", json=SPEC).json()["id"]

    states = [
        client.post(f"/api/v1/jobs/{job}/{call}").json()["state"] for call in ("pause", "resume", "cancel")
    ]

    assert states == ["paused", "queued", "cancelled"]
    assert client.post(f"/api/v1/jobs/{job}/cancel").status_code == 200  # asking twice changes nothing
    assert client.post(f"/api/v1/jobs/{job}/resume").status_code == 409


def test_a_paused_job_can_be_resumed_and_a_budget_raised(client, store, settings):
    job = finished_search(store, settings.data_dir, release=False)

    assert client.post(f"/api/v1/jobs/{job}/pause").json()["state"] == "paused"
    assert client.post(f"/api/v1/jobs/{job}/resume").json()["state"] == "queued"
    raised = client.patch(f"/api/v1/jobs/{job}", json={"budget": {"trials": 50}}).json()
    assert raised["progress"]["trials"]["total"] == raised["spec"]["budget"]["trials"] == 50


def test_a_job_that_runs_is_cancelled_through_cancelling(client, store, settings):
    job = client.post("/api/v1/jobs", json=SPEC).json()["id"]
    with WorkerLock(settings.data_dir) as lock:
        claim = store.claim(lock)
        assert client.post(f"/api/v1/jobs/{job}/cancel").json()["state"] == "cancelling"
        assert claim.heartbeat() is JobState.CANCELLING
        claim.release(JobState.CANCELLED, "cancelled on request")

    document = get(client, f"/api/v1/jobs/{job}")
    assert (document["state"], document["reason"]) == ("cancelled", "cancelled on request")


def test_the_catalogue_lists_workloads_and_targets(client, store, digits, digits_model):
    from compression import take_inventory

    before = get(client, "/api/v1/workloads")["items"]
    store.put_inventory(
        "digits-cnn", {"students": [[None, take_inventory(digits_model, digits.example_inputs()).to_dict()]]}
    )
    after = get(client, "/api/v1/workloads")["items"]

    names = ["digits-cnn", "fashion-mobilenet", "fashion-resnet", "minilm-sentiment", "speech-lstm"]
    assert before == [{"name": name, "layers": None} for name in names]
    assert len(after[0]["layers"]) == 11
    assert after[1:] == before[1:]
    targets = {target["name"]: target["kind"] for target in get(client, "/api/v1/targets")["items"]}
    assert (targets["local-cpu"], targets["raspberry-pi-5"]) == ("measured", "modelled")
    assert get(client, "/api/v1/targets/local-cpu")["channel_multiple"] == 8


def test_health_is_about_the_process_and_readiness_about_the_database(client):
    assert get(client, "/healthz") == {"status": "ok"}
    assert get(client, "/readyz") == {"status": "ready"}


def test_a_service_whose_schema_is_not_the_newest_is_not_ready(tmp_path):
    from starlette.testclient import TestClient

    from service.app import create_app
    from service.settings import Settings

    settings = Settings(tmp_path, f"sqlite:///{tmp_path}/x.db", workers=0)
    with TestClient(
        create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        assert client.get("/readyz").status_code == 200
        with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
            connection.execute("DROP TABLE alembic_version")
        response = client.get("/readyz")

    assert response.status_code == 503
    assert "tauten db upgrade" in response.json()["detail"]
    assert response.headers["content-type"] == "application/problem+json"


def test_every_answer_is_documented(client):
    paths = client.get("/openapi.json").json()["paths"]

    assert len({call["operationId"] for path in paths.values() for call in path.values()}) == sum(
        map(len, paths.values())
    )
    assert set(paths["/api/v1/jobs"]["post"]["responses"]) == {
        *("201", "400", "401", "403", "409", "413", "414", "422", "429", "431", "503")
    }


def test_the_api_process_loads_no_heavy_library(tmp_path):
    program = (
        "import sys\nfrom pathlib import Path\nfrom service.app import create_app\nfrom service.settings import Settings\n"
        f"create_app(Settings(Path({str(tmp_path)!r}), 'sqlite:///{tmp_path}/x.db'))\n"
        "print([m for m in ('torch', 'optuna', 'onnxruntime', 'onnx', 'ray', 'transformers', 'sklearn') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_the_report_and_the_files_of_a_search_are_whole(store, results, settings, searched, tmp_path):
    import json

    from service.files import export
    from service.views import JobView
    from storage import ArtifactStore

    view = JobView.load(results, store, searched)
    written = export(view, ArtifactStore(settings.artifacts_dir), tmp_path / "out")

    names = {path.name for path in written}
    assert names == {"front.json", "trials.csv", "report.html", "recipe.yaml", "artifact.onnx"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert json.loads((tmp_path / "out" / "front.json").read_text())["chosen"] == 1
    assert (tmp_path / "out" / "artifact.onnx").read_bytes() == b"artifact 1"
    assert yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text())["origin"]["trial"] == 1
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<circle") == sum(state == "completed" for *_, state in TRIALS)
    assert "does not run as the policy says" in page
