"""The deployment files against each other and against the product, as far as that needs no container engine."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from service.cli.app import app
from service.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
INSTRUCTIONS = re.findall(
    r"^([A-Z]+)\s+(.*)$",
    re.sub(
        r"\\\n\s*",
        " ",
        re.sub(r"^#.*\n", "", (ROOT / "deploy" / "Dockerfile").read_text(), flags=re.MULTILINE),
    ),
    flags=re.MULTILINE,
)


def of(name):
    return [value for instruction, value in INSTRUCTIONS if instruction == name]


def test_the_image_has_a_pinned_base_an_ordinary_user_and_a_health_check():
    assert INSTRUCTIONS[0] == ("FROM", "python:3.11-slim-bookworm")
    assert of("USER") == ["tauten"]
    names = [instruction for instruction, _ in INSTRUCTIONS]
    assert names.index("USER") > max(index for index, name in enumerate(names) if name in {"RUN", "COPY"})
    assert len(of("HEALTHCHECK")) == 1
    for name in ("CMD", "ENTRYPOINT"):
        (value,) = of(name)
        assert isinstance(yaml.safe_load(value), list), "a shell would keep signals from the process"


def test_the_image_holds_what_the_distribution_is_made_of():
    import tomllib

    setup = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packages = {pattern.rstrip("*") for pattern in setup["packages"]["find"]["include"]}
    sources = [source for value in of("COPY") for source in shlex.split(value)[:-1]]
    assert packages <= set(sources)
    assert all((ROOT / source).exists() for source in sources)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(sources) <= allowed


def test_layers_install_the_versions_that_are_tested_and_leave_no_lists_behind():
    (install,) = [value for value in of("RUN") if "pip install" in value]
    assert "--constraint constraints.txt" in install
    (system,) = [value for value in of("RUN") if "apt-get install" in value]
    assert "--no-install-recommends" in system
    assert "rm -rf /var/lib/apt/lists/*" in system
    assert not of("ADD")


def test_services_wait_for_health_and_hold_no_secret():
    services = COMPOSE["services"]
    assert set(services) == {"database", "service", "worker", "ray"}
    for name, service in services.items():
        assert "latest" not in service["image"], name
        for other, condition in service.get("depends_on", {}).items():
            assert condition["condition"] == "service_healthy"
            assert other in services
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    assert re.findall(r"(?:PASSWORD|password): (?!\$\{)", text) == []
    assert "POSTGRES_PASSWORD:?" in text
    assert services["service"]["ports"] == ["127.0.0.1:8321:8321"]


@pytest.mark.parametrize("name", ["service", "worker"])
def test_a_service_runs_a_command_that_there_is_with_settings_that_are_valid(name, tmp_path):
    service = COMPOSE["services"][name]
    words = service["command"]
    shown = CliRunner().invoke(app, [words[0], "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for option in (word for word in words if word.startswith("--")):
        assert option in shown.output
    environ = {
        variable: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value).replace("${POSTGRES_PASSWORD:?", "x")
        for variable, value in service["environment"].items()
    }
    settings = Settings.load(environ=environ, directory=tmp_path, data_dir=tmp_path)
    assert settings.allowed_hosts == ("localhost", "127.0.0.1")
    assert settings.log_format == "json"
