"""The deployment files against each other and against the product, as far as that needs no container engine."""

import json
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
    assert set(services) == {"database", "service", "worker", "ray", "controller"}
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


@pytest.mark.parametrize("name", ["service", "worker", "controller"])
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


POD = {
    "type": "object",
    "required": ["containers"],
    "properties": {
        "containers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "image"],
                "properties": {
                    "image": {"type": "string", "pattern": ":(?!latest)[^:]+$"},
                    "args": {"type": "array", "items": {"type": "string"}},
                    "env": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "oneOf": [{"required": ["name", "value"]}, {"required": ["name", "valueFrom"]}],
                            "properties": {"value": {"type": "string"}},
                        },
                    },
                },
            },
        }
    },
}
GROUP = {
    "type": "object",
    "required": ["rayStartParams", "template"],
    "properties": {
        "rayStartParams": {"type": "object", "additionalProperties": {"type": "string"}},
        "template": {"type": "object", "required": ["spec"], "properties": {"spec": POD}},
        "serviceType": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    },
}
RAY_CLUSTER = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "ray.io/v1"},
        "spec": {
            "type": "object",
            "required": ["rayVersion", "headGroupSpec", "workerGroupSpecs"],
            "additionalProperties": False,
            "properties": {
                "rayVersion": {"type": "string"},
                "headGroupSpec": GROUP,
                "workerGroupSpecs": {
                    "type": "array",
                    "items": {
                        **GROUP,
                        "required": [
                            "groupName",
                            "replicas",
                            "minReplicas",
                            "maxReplicas",
                            *GROUP["required"],
                        ],
                    },
                },
            },
        },
    },
}
"""The fields of KubeRay's v1 resource that the manifest uses, as its reference describes them."""


@pytest.fixture(scope="module")
def manifests():
    documents = yaml.safe_load_all((ROOT / "deploy" / "kuberay.yaml").read_text())
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def pods(manifests):
    for document in manifests.values():
        if document["kind"] in {"Deployment", "StatefulSet"}:
            yield document["spec"]["template"]["spec"]
        if document["kind"] == "RayCluster":
            spec = document["spec"]
            yield from (
                group["template"]["spec"] for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"])
            )


def test_the_cluster_file_is_what_ray_up_reads():
    import ray
    from jsonschema import validate

    schema = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())
    cluster = yaml.safe_load((ROOT / "deploy" / "ray-cluster.yaml").read_text())

    validate(cluster, schema)
    starts = [line for name in ("head", "worker") for line in cluster[f"{name}_start_ray_commands"][1:]]
    for line in starts:
        assert line.count("RAY_AUTH_MODE=token") == line.count("ray start")
    assert cluster["max_workers"] == len(cluster["provider"]["worker_ips"])


def test_the_manifest_is_a_ray_cluster_of_the_version_that_is_installed(manifests):
    from importlib.metadata import version

    from jsonschema import validate

    cluster = manifests["RayCluster", "tauten-ray"]
    validate(cluster, RAY_CLUSTER)
    assert cluster["spec"]["rayVersion"] == version("ray")
    measuring = cluster["spec"]["workerGroupSpecs"][1]["rayStartParams"]
    assert json.loads(json.loads(measuring["resources"])) == {"target:local-cpu": 1}
    assert measuring["num-cpus"] == "0"


def test_the_manifest_holds_no_secret_and_publishes_nothing(manifests):
    from jsonschema import validate

    for pod in pods(manifests):
        validate(pod, POD)
        for container in pod["containers"]:
            for variable in container.get("env", []):
                if re.search("PASSWORD|TOKEN", variable["name"]):
                    assert variable["valueFrom"]["secretKeyRef"]["name"] == "tauten"
    services = [document["spec"] for (kind, _), document in manifests.items() if kind == "Service"]
    assert {service.get("type", "ClusterIP") for service in services} == {"ClusterIP"}
    assert manifests["RayCluster", "tauten-ray"]["spec"]["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_everything_that_talks_to_ray_shows_the_token(manifests):
    talking = [
        container
        for pod in pods(manifests)
        for container in pod["containers"]
        if container["name"].startswith("ray-") or "--runner" in container.get("args", [])
    ]
    assert len(talking) == 4
    for container in talking:
        named = {variable["name"]: variable for variable in container["env"]}
        assert named["RAY_AUTH_MODE"]["value"] == "token"
        assert "valueFrom" in named["RAY_AUTH_TOKEN"]
    compose = COMPOSE["services"]
    assert compose["ray"]["environment"]["RAY_AUTH_MODE"] == "token"
    assert compose["controller"]["environment"] == compose["ray"]["environment"]
    assert "ports" not in compose["ray"]
