"""``tauten targets``, and targets of a user's own: from a file, from a directory, and by name alone over HTTP."""

import json

import numpy as np
import pytest
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from compression import export_float
from evaluators.modelled.graph_costs import read_costs
from evaluators.modelled.roofline import Roofline
from evaluators.targets import find_target, list_targets, read_target
from service.app import create_app
from service.cli.app import app
from service.settings import Settings
from spaces import InvalidTarget, InvalidValue


def run(*arguments, **environment):
    return CliRunner().invoke(app, ["targets", *map(str, arguments)], env=environment)


def json_of(*arguments, **environment):
    result = run(*arguments, "--json", **environment)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def error_of(*arguments, **environment):
    result = run(*arguments, **environment)
    assert isinstance(result.exception, InvalidValue), result.output
    return str(result.exception)


@pytest.fixture
def board(tmp_path):
    """A user's own target in a directory of its own."""
    directory = tmp_path / "boards"
    directory.mkdir()
    path = directory / "my-board.yaml"
    path.write_text(yaml.safe_dump(find_target("raspberry-pi-5").to_dict() | {"name": "my-board"}))
    return path


def test_the_list_has_the_shipped_targets_and_those_of_the_configured_directory(board):
    names = {item["name"] for item in json_of("list", TAUTEN_TARGETS=str(board.parent))["items"]}

    assert names == {*list_targets(), "my-board"}
    assert "uncalibrated" in run("list").stdout


def test_a_target_is_shown_by_its_name_or_from_its_file(board):
    shown = json_of("show", board)

    assert shown == json_of("show", "my-board", TAUTEN_TARGETS=str(board.parent))
    assert shown["sources"]["peak_ops"]["kind"] == "derived"
    assert "kind: derived" in run("show", "raspberry-pi-5").stdout


def test_a_file_is_checked_with_every_fault_named(board):
    assert json_of("check", board)["status"] == "ok"
    document = yaml.safe_load(board.read_text())
    document["memory"]["bandwidth_bytes_s"] = -1
    board.write_text(yaml.safe_dump(document))

    message = error_of("check", board)

    assert "/memory/bandwidth_bytes_s: must not be negative" in message
    assert "my-board.yaml" in message


def test_each_layer_is_explained_with_its_reasons():
    document = json_of("explain", "a100", "--workload", "digits-cnn", "--task-hint", "real-time")

    layers = {layer["layer"]: layer for layer in document["layers"]}
    assert layers["stage1.0.conv1"]["bits"] == ["float32", "w16a16", "w8a8 static"]
    assert layers["stage1.0.conv1"]["also"] == ["w4a4 static"]
    assert layers["stage1.0.conv1"]["prune"] == {"granularity": "channel", "ratios": [0.0, 0.25, 0.5, 0.75]}
    assert layers["head"]["prune"] == {"granularity": "2:4", "ratios": [0.0, 0.5]}
    assert "skips them in the pattern 2:4 alone" in layers["head"]["refused"]["unstructured zeros"]
    assert any(reason.startswith("real-time: ") for reason in document["reasons"])


def test_limits_are_explained_for_people_too():
    text = run("explain", "stm32h743", "--workload", "digits-cnn").stdout

    assert "peak_memory_bytes may be 1,048,576 at most" in text
    assert "int8 first" in text
    assert "unstructured zeros: the target computes zeros like any weight (all layers)" in text
    assert "channels: goes with stem.0, where the ratio stands (stage1.0.conv2, stage1.1.conv2)" in text


def test_this_machine_is_measured_and_becomes_a_target(tmp_path):
    path = tmp_path / "host.yaml"

    document = json_of("measure", "--out", path)
    target = read_target(path)

    assert document["int8_ops"] > document["float32_ops"] > 1e9
    assert document["bandwidth_bytes_s"] > 1e8
    assert 0 <= document["overhead_us"] < 1000
    assert target.is_modelled
    assert target.peak_ops["float32"] == pytest.approx(document["float32_ops"], rel=1e-3)
    assert target.sources["peak_ops"].kind == "measured"


@pytest.fixture
def samples(digits, digits_model, tmp_path):
    """One artifact eight times, twice as slow as the board's figures have it."""
    path = tmp_path / "a.onnx"
    export_float(digits_model, digits, path)
    costs = read_costs(path, {"input": np.zeros((1, 1, 8, 8), dtype=np.float32)})
    expected_ms = Roofline(find_target("raspberry-pi-5")).latency_ms(costs)
    file = tmp_path / "samples.json"
    file.write_text(json.dumps([{"artifact": "a.onnx", "latency_ms": 2 * expected_ms}] * 8))
    return file, costs, 2 * expected_ms


def test_samples_calibrate_a_target_which_then_says_so(samples, tmp_path):
    file, costs, measured_ms = samples
    out = tmp_path / "fitted.yaml"

    document = json_of("calibrate", "raspberry-pi-5", "--samples", file, "--out", out)
    fitted = read_target(out)

    assert (document["target"], fitted.name) == ("raspberry-pi-5-calibrated",) * 2
    assert document["calibration"]["samples"] == 8
    assert Roofline(fitted).latency_ms(costs) == pytest.approx(measured_ms, rel=0.05)
    assert "8 samples" in run("check", out).stdout


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[]", "0 samples are too few"),
        ('[{"artifact": "gone.onnx", "latency_ms": 1}]', "/samples/0/artifact: there is no file"),
        ('[{"artifact": "a.onnx"}]', "/samples/0/latency_ms: is required"),
        ('{"a": 1}', "/samples: must be a list"),
    ],
)
def test_samples_that_are_wrong_are_refused_and_nothing_is_written(samples, tmp_path, content, says):
    file, *_ = samples
    file.write_text(content)
    out = tmp_path / "fitted.yaml"

    assert says in error_of("calibrate", "raspberry-pi-5", "--samples", file, "--out", out)
    assert not out.exists()


def test_over_http_a_target_is_a_name_and_never_a_file(board, tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path}/x.db", workers=0, targets_dir=board.parent)
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        listed = {item["name"] for item in client.get("/api/v1/targets").json()["items"]}
        by_name = client.post("/api/v1/jobs", json={"workload": "digits-cnn", "target": "my-board"})
        by_path = client.post("/api/v1/jobs", json={"workload": "digits-cnn", "target": str(board)})
        limited = client.post("/api/v1/jobs", json={"workload": "digits-cnn", "target": "stm32h743"})

    assert "my-board" in listed
    assert by_name.status_code == 201
    assert by_path.status_code == 422
    assert [fault["pointer"] for fault in by_path.json()["errors"]] == ["/target"]
    assert limited.json()["spec"]["constraints"]["peak_memory_bytes"] == {"max": 1048576}


def test_the_directory_of_targets_comes_from_the_environment(tmp_path):
    assert (
        Settings.load(data_dir=tmp_path, environ={"TAUTEN_TARGETS": "/boards"}).targets_dir.name == "boards"
    )
    assert Settings.load(data_dir=tmp_path, environ={}).targets_dir is None


def test_a_service_with_a_wrong_target_in_its_directory_does_not_start(board, tmp_path):
    board.write_text("name: half")
    settings = Settings(tmp_path, f"sqlite:///{tmp_path}/x.db", workers=0, targets_dir=board.parent)

    with pytest.raises(InvalidTarget, match=r"my-board\.yaml"):
        create_app(settings)
