"""Settings come from arguments, variables and a file, in this order; all faults are told at once."""

import pytest

from service.settings import MIB, InvalidSettings, Settings, is_loopback


def load(directory, **environ):
    return Settings.load(environ=environ, directory=directory)


def test_arguments_come_before_variables_before_the_file_before_defaults(tmp_path):
    (tmp_path / "tauten.toml").write_text(
        '[service]\nport = 1\nhost = "file"\nworkers = 3\nallowed_hosts = ["a", "b"]\n[workloads]\nx = "y"\n'
    )
    environ = {"TAUTEN_PORT": "2", "TAUTEN_HOST": "environment", "XDG_DATA_HOME": str(tmp_path)}
    settings = Settings.load(environ=environ, directory=tmp_path, port=3, workers=None)
    assert (settings.port, settings.host, settings.workers) == (3, "environment", 3)
    assert settings.allowed_hosts == ("a", "b")
    assert settings.data_dir == tmp_path / "tauten"
    assert settings.database_url == f"sqlite:///{tmp_path}/tauten/tauten.db"
    assert settings.log_format == "logfmt"


def test_variables_of_every_kind_are_read(tmp_path):
    settings = load(
        tmp_path,
        TAUTEN_DATA=str(tmp_path / "d"),
        TAUTEN_ALLOWED_HOSTS="a, b",
        TAUTEN_REQUIRE_KEY="yes",
        TAUTEN_MIN_FREE_MB="5",
        TAUTEN_LOG_FORMAT="json",
        TAUTEN_OFFERS="local-cpu",
        TAUTEN_SAMPLERS="a.b:C, d:E",
        TAUTEN_RUNNER="ray",
        TAUTEN_RAY_ADDRESS="head:6379",
    )
    assert settings.allowed_hosts == ("a", "b")
    assert settings.require_key
    assert settings.min_free_bytes == 5 * MIB
    assert (settings.log_format, settings.offers) == ("json", ("local-cpu",))
    assert settings.samplers == ("a.b:C", "d:E")
    assert (settings.runner, settings.ray_address) == ("ray", "head:6379")
    assert settings.data_dir == tmp_path / "d"


def test_all_faults_are_told_at_once_with_their_places(tmp_path):
    path = tmp_path / "tauten.toml"
    path.write_text('[service]\nport = 0\ncolour = "red"\nrequire_key = 3\nallowed_hosts = [1]\n')
    with pytest.raises(InvalidSettings) as caught:
        load(
            tmp_path,
            TAUTEN_PORT="99999",
            TAUTEN_WORKERS="many",
            TAUTEN_LOG_FORMAT="xml",
            TAUTEN_RUNNER="moon",
        )
    assert [fault.pointer for fault in caught.value.faults] == [
        f"{path} [service] port",
        f"{path} [service] colour",
        f"{path} [service] require_key",
        f"{path} [service] allowed_hosts",
        "TAUTEN_PORT",
        "TAUTEN_WORKERS",
        "TAUTEN_LOG_FORMAT",
        "TAUTEN_RUNNER",
    ]
    assert "whole number from 1 to 65535" in str(caught.value)


@pytest.mark.parametrize("text", ["[service", "service = 3\n", "\x00"])
def test_a_file_that_is_none_is_a_fault(tmp_path, text):
    (tmp_path / "tauten.toml").write_text(text)
    with pytest.raises(InvalidSettings, match=r"tauten\.toml"):
        load(tmp_path)


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(InvalidSettings, match="does not exist"):
        load(tmp_path, TAUTEN_CONFIG=str(tmp_path / "other.toml"))
    (tmp_path / "other.toml").write_text("[service]\nport = 7\n")
    assert load(tmp_path, TAUTEN_CONFIG=str(tmp_path / "other.toml")).port == 7


def test_loopback_is_known_by_address_and_name():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost")] == [
        True
    ] * 5
    assert [is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", "")] == [False] * 5


def test_a_key_is_needed_beyond_loopback_or_on_request(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    assert not Settings(tmp_path, url).needs_key
    assert Settings(tmp_path, url, host="0.0.0.0").needs_key
    assert Settings(tmp_path, url, require_key=True).needs_key


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("bucket", "such as s3://bucket/prefix"),
        ("s3://", "such as"),
        ("s3://me:secret@bucket/x", "no credentials"),
    ],
)
def test_a_bucket_is_an_address_without_secrets(tmp_path, address, says):
    assert load(tmp_path, TAUTEN_ARTIFACTS="s3://bucket/x").artifacts_url == "s3://bucket/x"
    with pytest.raises(InvalidSettings, match=says) as caught:
        load(tmp_path, TAUTEN_ARTIFACTS=address)
    assert "secret" not in str(caught.value)
