"""``tauten key``, and that others are served only once somebody has a key."""

import json

import pytest
from typer.testing import CliRunner

from service.cli.app import app
from service.cli.serve import _require_key
from service.settings import InvalidSettings, Settings
from storage import Database, KeyRing


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        done = CliRunner().invoke(app, ["key", *arguments, "--data", str(tmp_path / "data")])
        assert done.exit_code == 0, done.output
        return done

    return run


def test_a_key_is_printed_alone_listed_without_its_secret_and_revoked(run, tmp_path):
    text = run("create", "laptop", "--scope", "read", "--max-queued", "3").stdout.strip()
    keys = KeyRing(Database(f"sqlite:///{tmp_path}/data/tauten.db"))
    key = keys.authenticate(text)
    assert (key.name, key.scope, key.max_queued, key.max_running) == ("laptop", "read", 3, None)
    (listed,) = json.loads(run("list", "--json").stdout)["items"]
    assert (listed["id"], listed["revoked_at"]) == (key.id, None)
    table = run("list").output
    assert key.id in table
    assert text[16:] not in table
    run("revoke", key.id)
    assert keys.authenticate(text) is None
    keys._database.close()


def test_others_are_not_served_before_there_is_a_key(tmp_path):
    url = f"sqlite:///{tmp_path}/tauten.db"
    open_to_others = Settings(tmp_path, url, host="0.0.0.0")
    with pytest.raises(InvalidSettings, match=r"0\.0\.0\.0 can be reached by others .*tauten key create"):
        _require_key(open_to_others)
    database = Database(url)
    KeyRing(database).create("somebody", "read")
    database.close()
    _require_key(open_to_others)
