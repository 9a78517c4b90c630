import json

import pytest
import structlog

from service.log import configure_log, hide_secrets, without_secrets

KEY = "tk_0123456789ab_" + "s" * 43


@pytest.fixture(autouse=True)
def as_before():
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"key {KEY} is wrong", "key tk_0123456789ab_*** is wrong"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ("postgresql://tauten:hunter2@db/tauten", "postgresql://tauten:***@db/tauten"),
        (
            "postgresql+psycopg://tauten:hunter2@db:5432/t?x=1",
            "postgresql+psycopg://tauten:***@db:5432/t?x=1",
        ),
        ("http://127.0.0.1:8321/jobs", "http://127.0.0.1:8321/jobs"),
        ("nothing secret", "nothing secret"),
    ],
)
def test_secrets_within_a_text_are_replaced(text, shown):
    assert without_secrets(text) == shown


def test_values_of_secret_names_are_replaced():
    event = {"authorization": "x", "Set-Cookie": "y", "api_key": "z", "password": "p", "key": "0123", "n": 3}
    assert hide_secrets(None, "", event) == {
        **dict.fromkeys(("authorization", "Set-Cookie", "api_key", "password"), "***"),
        "key": "0123",
        "n": 3,
    }


@pytest.mark.parametrize("log_format", ["logfmt", "json"])
def test_no_secret_reaches_the_log_even_in_a_trace(capsys, log_format):
    configure_log(log_format=log_format)
    structlog.contextvars.bind_contextvars(request="r1")

    def fail():
        raise ValueError(f"cannot use {KEY} at postgresql://u:hunter2@db/x")

    try:
        fail()
    except ValueError as error:
        structlog.get_logger().exception("failed", error=error, token="t0psecret")
    finally:
        structlog.contextvars.clear_contextvars()
    written = capsys.readouterr().err
    assert "hunter2" not in written
    assert "ssss" not in written
    assert "t0psecret" not in written
    assert "r1" in written
    assert "ValueError" in written
    if log_format == "json":
        assert json.loads(written)["event"] == "failed"
