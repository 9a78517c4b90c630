"""Whatever is wrong with a request is said with a pointer to the field, and changes nothing."""

import json

import pytest

JOB = {"workload": "digits-cnn"}

WRONG_JOBS = [
    ({}, "/workload"),
    ({"workload": "nope"}, "/workload"),
    ({"workload": "mine.py:factory"}, "/workload"),
    ({"workload": 3}, "/workload"),
    (JOB | {"target": "toaster"}, "/target"),
    (JOB | {"sampler": "oracle"}, "/sampler"),
    (JOB | {"runner": "moon"}, "/runner"),
    (JOB | {"seed": -1}, "/seed"),
    (JOB | {"colour": "red"}, "/colour"),
    (JOB | {"budget": {"trials": 0}}, "/budget/trials"),
    (JOB | {"budget": {"trials": 10**9}}, "/budget/trials"),
    (JOB | {"budget": {"trials": 1.5}}, "/budget/trials"),
    (JOB | {"budget": {"trials": 5, "wall_s": 0}}, "/budget/wall_s"),
    (JOB | {"objectives": []}, "/objectives"),
    (JOB | {"objectives": ["accuracy", "beauty"]}, "/objectives/1"),
    (JOB | {"objectives": ["accuracy", "accuracy"]}, "/objectives/1"),
    (JOB | {"constraints": {"beauty": {"max": 1}}}, "/constraints/beauty"),
    (JOB | {"constraints": {"accuracy_drop": {}}}, "/constraints/accuracy_drop"),
    (JOB | {"constraints": {"accuracy_drop": {"min": 2, "max": 1}}}, "/constraints/accuracy_drop"),
    (JOB | {"constraints": {"accuracy_drop": {"max": "small"}}}, "/constraints/accuracy_drop/max"),
    (JOB | {"space": {"bits": []}}, "/space/bits"),
    (JOB | {"space": {"prune": {"ratios": []}}}, "/space/prune/ratios"),
    (JOB | {"space": {"prune": {"ratios": [0, 1.0]}}}, "/space/prune/ratios/1"),
    (JOB | {"space": {"prune": {"granularity": ["weight"]}}}, "/space/prune/granularity/0"),
    (JOB | {"space": {"bits": [{}, {"weight": 4, "activation": 8, "mode": "static"}]}}, "/space/bits/1"),
    (JOB | {"space": {"bits": [{"weight": 8, "activation": 32, "mode": "static"}]}}, "/space/bits/0/mode"),
    (JOB | {"space": {"bits": [{"weight": 9}]}}, "/space/bits/0/weight"),
    (JOB | {"space": {"colour": "red"}}, "/space/colour"),
    (JOB | {"space": {"layers": {"stem*": {"bits": []}}}}, "/space/layers/stem*/bits"),
    (JOB | {"space": {"layers": {"a/b": {"prune": {"ratios": [1.0]}}}}}, "/space/layers/a~1b/prune/ratios/0"),
    (JOB | {"budget": {"trials": 5, "colour": "red"}}, "/budget/colour"),
    (JOB | {"budget": {"trials": "many"}}, "/budget/trials"),
    (JOB | {"constraints": {"latency_ms": {"max": 1, "colour": "red"}}}, "/constraints/latency_ms/colour"),
    (JOB | {"workload": "../mine.py:factory"}, "/workload"),
    (JOB | {"workload": "digits-cnn\u0000"}, "/workload"),
    (JOB | {"seed": 2**31}, "/seed"),
    (JOB | {"space": {"students": [{"family": "self", "depth": 0}]}}, "/space/students/0/depth"),
    (JOB | {"space": {"recovery": [{"epochs": 1, "qat_share": 0.3}]}}, "/space/recovery/0/qat_share"),
    (JOB | {"space": {"layers": {"stem*": "drop"}}}, "/space/layers/stem*"),
    (
        JOB | {"space": {"students": [None], "prune": {"ratios": [0]}, "bits": [{}], "recovery": [None]}},
        "/space",
    ),
    (JOB | {"space": [1]}, "/space"),
]


def check_problem(response, status=None):
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert 400 <= response.status_code < 500
    assert problem["status"] == response.status_code == (status or response.status_code)
    assert problem["detail"]
    assert "Traceback" not in response.text
    assert "\n" not in problem["detail"]
    return problem


def test_a_job_that_is_wrong_is_answered_with_the_field_and_is_not_stored(client, store):
    for call in ("/api/v1/jobs", "/api/v1/jobs/validate"):
        for body, pointer in WRONG_JOBS:
            problem = check_problem(client.post(call, json=body), 422)
            assert pointer in {error["pointer"] for error in problem["errors"]}, (body, problem)
    assert store.jobs().items == ()


def test_a_glob_that_matches_no_layer_is_refused_once_the_layers_are_known(
    client, store, digits, digits_model
):
    from compression import take_inventory

    inventory = take_inventory(digits_model, digits.example_inputs()).to_dict()
    body = JOB | {"space": {"students": [None], "layers": {"nowhere.*": "keep"}}}

    assert client.post("/api/v1/jobs/validate", json=body).status_code == 200
    store.put_inventory("digits-cnn", {"students": [[None, inventory]]})
    problem = check_problem(client.post("/api/v1/jobs", json=body), 422)

    assert problem["errors"][0]["pointer"] == "/space/layers/nowhere.*"
    assert "stem.0" in problem["detail"]
    assert store.jobs().items == ()


def test_an_exception_that_leaves_nothing_to_search_is_refused(client, store, digits, digits_model):
    from compression import take_inventory

    inventory = take_inventory(digits_model, digits.example_inputs()).to_dict()
    store.put_inventory("digits-cnn", {"students": [[None, inventory]]})
    space = {"students": [None], "recovery": [None], "layers": {"*": "keep"}}

    problem = check_problem(client.post("/api/v1/jobs", json=JOB | {"space": space}), 422)

    assert problem["errors"][0]["pointer"].startswith("/space")
    assert store.jobs().items == ()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/xml", None])
def test_a_body_that_does_not_say_it_is_json_is_refused(client, store, kind):
    headers = {"Content-Type": kind} if kind else {}
    check_problem(client.post("/api/v1/jobs", content=json.dumps(JOB).encode(), headers=headers))
    assert store.jobs().items == ()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"workload": ', 400),
        (b"\xff\xfe", 400),
        (b"", 422),
        (b"[1, 2]", 422),
        (b'"digits-cnn"', 422),
        (b"null", 422),
    ],
)
def test_what_is_no_json_object_is_refused(client, store, body, status):
    check_problem(
        client.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"}), status
    )
    assert store.jobs().items == ()


def test_deeply_nested_json_is_refused(client, store):
    body = b'{"workload": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    check_problem(client.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"}))
    assert store.jobs().items == ()


def test_ten_megabytes_are_refused_whether_announced_or_not(client, store):
    body = json.dumps(JOB | {"colour": "x" * 10_000_000}).encode()
    headers = {"Content-Type": "application/json"}

    def chunks():
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    check_problem(client.post("/api/v1/jobs", content=body, headers=headers), 413)
    check_problem(client.post("/api/v1/jobs", content=chunks(), headers=headers), 413)
    assert store.jobs().items == ()


def test_parameters_that_are_wrong_are_named(client, searched):
    for path, pointer in [
        ("/api/v1/jobs?limit=0", "/limit"),
        ("/api/v1/jobs?limit=1001", "/limit"),
        ("/api/v1/jobs?cursor=nonsense", "/cursor"),
        ("/api/v1/jobs?cursor=dHJpYWw6MQ", "/cursor"),  # of another list
        (f"/api/v1/jobs/{searched}/trials?limit=many", "/limit"),
        (f"/api/v1/jobs/{searched}/trials/one", "/number"),
        (f"/api/v1/jobs/{searched}/front?minimize=beauty", "/minimize"),
        (f"/api/v1/jobs/{searched}/events?after={2**63}", "/after"),
        ("/api/v1/jobs?state=asleep", "/state/0"),
        (f"/api/v1/jobs/{searched}/trials?cursor=!", "/cursor"),
        (f"/api/v1/jobs/{searched}/front?objectives=accuracy,beauty", "/objectives"),
        (f"/api/v1/jobs/{searched}/front?method=guessed", "/method"),
        (f"/api/v1/jobs/{searched}/front?max_accuracy_drop=-1", "/max_accuracy_drop"),
        (f"/api/v1/jobs/{searched}/recipe?format=stone", "/format"),
        (f"/api/v1/jobs/{searched}/recipe?trial=one", "/trial"),
        (f"/api/v1/jobs/{searched}/events?after=-1", "/after"),
    ]:
        problem = check_problem(client.get(path), 422)
        assert pointer in {error["pointer"] for error in problem["errors"]}, (path, problem)


def test_what_is_not_there_is_named(client, searched):
    for path in [
        "/api/v1/jobs/nope",
        "/api/v1/jobs/nope/trials",
        "/api/v1/jobs/nope/front",
        "/api/v1/jobs/nope/events",
        "/api/v1/jobs/nope/recipe",
        f"/api/v1/jobs/{searched}/trials/99",
        f"/api/v1/jobs/{searched}/trials/-1",
        f"/api/v1/jobs/{searched}/trials/{10**30}",
        f"/api/v1/jobs/{searched}/recipe?trial={10**30}",
        f"/api/v1/jobs/{searched}/trials/99/artifact",
        f"/api/v1/jobs/{searched}/recipe?trial=99",
        "/api/v1/targets/toaster",
        "/api/v1/nothing",
        "/api/v1/jobs/..%2f..%2fetc%2fpasswd",
    ]:
        check_problem(client.get(path), 404)


def test_a_trial_without_artifact_says_why(client, searched):
    for path in (f"/api/v1/jobs/{searched}/trials/3/artifact", f"/api/v1/jobs/{searched}/recipe?trial=3"):
        assert "asked int8, runs as float32" in check_problem(client.get(path), 409)["detail"]


def test_a_call_that_a_resource_does_not_have_is_refused(client):
    check_problem(client.put("/api/v1/jobs", json=JOB), 405)


def test_a_job_in_the_wrong_state_conflicts(client, searched):
    check_problem(client.post(f"/api/v1/jobs/{searched}/cancel"), 409)
    check_problem(client.post(f"/api/v1/jobs/{searched}/pause"), 409)
    check_problem(client.post(f"/api/v1/jobs/{searched}/resume"), 409)
    problem = check_problem(client.patch(f"/api/v1/jobs/{searched}", json={"budget": {"trials": 1}}), 422)
    assert problem["errors"][0]["pointer"] == "/budget/trials"
