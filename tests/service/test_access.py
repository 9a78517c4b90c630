"""Who may call: keys, scopes, sessions of browsers, hosts and origins; and what every answer carries."""

import re

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.gate import known_hosts
from service.settings import Settings
from storage import KeyRing, Scope
from tests.service.samples import SPEC
from tests.service.test_bad_input import check_problem

HOST = "http://tauten.example"


@pytest.fixture
def keys(store):
    return KeyRing(store._database)


@pytest.fixture
def guarded(settings, store):
    """A service that others can reach."""
    open_to_others = Settings(
        settings.data_dir, settings.database_url, host="0.0.0.0", workers=0, allowed_hosts=("tauten.example",)
    )
    with TestClient(create_app(open_to_others), base_url=HOST, raise_server_exceptions=False) as client:
        yield client


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def test_without_a_key_nothing_is_told(guarded, keys):
    paths = guarded.get("/openapi.json").json()["paths"]
    opened = {"/healthz", "/readyz", "/api/v1/session"}
    for path, calls in paths.items():
        for method in calls:
            if path in opened:
                continue
            response = guarded.request(method, re.sub(r"\{.*?\}", "1", path), headers=bearer("tk_1_2"))
            assert response.status_code == 401, (method, path)
            assert response.headers["www-authenticate"] == "Bearer"
            check_problem(response, 401)
    assert guarded.get("/api/v1/jobs").status_code == 401
    assert guarded.get("/healthz").status_code == guarded.get("/readyz").status_code == 200


def test_a_scope_opens_what_it_includes(guarded, keys):
    reader, writer, admin = (bearer(keys.create(scope, scope)[1]) for scope in Scope)
    assert guarded.get("/api/v1/jobs", headers=reader).status_code == 200
    assert guarded.post("/api/v1/jobs/validate", json=SPEC, headers=reader).status_code == 200
    refused = guarded.post("/api/v1/jobs", json=SPEC, headers=reader)
    assert "needs a key of scope write; yours has read" in check_problem(refused, 403)["detail"]
    assert guarded.post("/api/v1/jobs", json=SPEC, headers=writer).status_code == 201
    assert guarded.get("/api/v1/keys", headers=writer).status_code == 403
    assert guarded.get("/metrics", headers=reader).status_code == 200
    assert len(guarded.get("/api/v1/keys", headers=admin).json()["items"]) == 3


def test_a_key_is_made_shown_once_and_revoked_over_http(guarded, keys):
    admin = bearer(keys.create("admin", Scope.ADMIN)[1])
    made = guarded.post("/api/v1/keys", json={"name": "robot", "scope": "read"}, headers=admin)
    text = made.json()["key"]
    assert made.status_code == 201
    assert guarded.get("/api/v1/jobs", headers=bearer(text)).status_code == 200
    assert text not in guarded.get("/api/v1/keys", headers=admin).text
    assert guarded.delete(f"/api/v1/keys/{made.json()['id']}", headers=admin).json()["revoked_at"]
    assert guarded.get("/api/v1/jobs", headers=bearer(text)).status_code == 401


def test_a_browser_signs_in_with_a_cookie_that_no_script_reads(guarded, keys):
    text = keys.create("person", Scope.WRITE)[1]
    assert guarded.get("/api/v1/session").json() == {"needs_key": True, "scope": None, "name": None}
    assert guarded.post("/api/v1/session", json={"key": text[:-2] + "xx"}).status_code == 401

    cookie = guarded.post("/api/v1/session", json={"key": text}).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert text not in cookie
    assert guarded.get("/api/v1/session").json() == {"needs_key": True, "scope": "write", "name": "person"}
    assert guarded.get("/api/v1/jobs").status_code == 200

    no_origin = guarded.post("/api/v1/jobs", json=SPEC)
    foreign = guarded.post("/api/v1/jobs", json=SPEC, headers={"Origin": "http://evil.example"})
    own = guarded.post("/api/v1/jobs", json=SPEC, headers={"Origin": HOST})
    assert [no_origin.status_code, foreign.status_code, own.status_code] == [403, 403, 201]

    assert guarded.delete("/api/v1/session", headers={"Origin": HOST}).status_code == 204
    assert guarded.get("/api/v1/jobs").status_code == 401


def test_pages_of_other_origins_change_nothing_on_loopback(client, store):
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert check_problem(client.post("/api/v1/jobs", json=SPEC, headers=headers), 403)
    assert store.jobs().items == ()
    assert client.post("/api/v1/jobs", json=SPEC, headers={"Origin": "http://127.0.0.1"}).status_code == 201


def test_a_name_that_points_here_by_trickery_is_not_served(client):
    for host in ("evil.example", "evil.example:8321", "127.0.0.1.evil.example", "[::2]", ""):
        assert client.get("/api/v1/jobs", headers={"Host": host}).status_code == 400, host
    for host in ("localhost", "localhost:8321", "127.0.0.1:1", "[::1]:8321"):
        assert client.get("/api/v1/jobs", headers={"Host": host}).status_code == 200, host


def test_elsewhere_any_name_is_served_unless_some_are_given():
    assert known_hosts("0.0.0.0", ()) is None
    assert "tauten.example" in known_hosts("0.0.0.0", ("Tauten.example",))
    assert "evil.example" not in known_hosts("127.0.0.1", ())


def test_a_quota_is_answered_with_when_to_try_again(guarded, keys):
    robot = bearer(keys.create("robot", Scope.WRITE, max_queued=1)[1])
    assert guarded.post("/api/v1/jobs", json=SPEC, headers=robot).status_code == 201
    refused = guarded.post("/api/v1/jobs", json=SPEC | {"seed": 1}, headers=robot)
    check_problem(refused, 429)
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", "/api/v1/nowhere", "/healthz", "/openapi.json"])
def test_every_answer_carries_security_headers_and_an_id(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.replace("style-src-attr 'unsafe-inline'", "")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])


def test_a_problem_has_the_requests_id(client):
    response = client.get("/api/v1/jobs/nowhere", headers={"X-Request-ID": "mine-1"})
    assert response.headers["x-request-id"] == response.json()["request_id"] == "mine-1"
    forged = client.get("/api/v1/jobs/nowhere", headers={"X-Request-ID": "a b=c"})
    assert forged.json()["request_id"] == forged.headers["x-request-id"] != "a b=c"


def test_an_address_or_headers_beyond_reason_are_refused(client):
    check_problem(client.get("/api/v1/jobs?cursor=" + "a" * 20_000), 414)
    check_problem(client.get("/api/v1/jobs", headers={"X-Much": "a" * 40_000}), 431)


def test_a_fault_of_ours_is_a_problem_with_headers_and_without_a_trace(client, monkeypatch):
    def fail(*_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("storage.store.Store.job", fail)
    response = client.get("/api/v1/jobs/x")
    assert response.status_code == 500
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert "secret" not in response.text
