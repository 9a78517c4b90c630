"""``tauten workloads``: a template that works as it stands, and a check that tells and refuses."""

import json
import sys

import pytest

from service.cli import app as command_line


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs the command line in this process, in a directory of its own."""
    monkeypatch.chdir(tmp_path)

    def runs(*arguments):
        monkeypatch.setattr(sys, "argv", ["tauten", *map(str, arguments)])
        try:
            command_line.main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        return (code, *capsys.readouterr())

    return runs


def test_a_new_workload_keeps_the_contract_as_it_stands_and_its_cost_is_told(run, tmp_path):
    made, printed, _ = run("workloads", "new", "my-net.2")
    assert made == 0
    assert "tauten workloads check my_net_2.py:factory" in printed
    assert "class MyNet2:" in (tmp_path / "my_net_2.py").read_text()

    code, printed, _ = run("workloads", "check", "my_net_2.py:factory", "--trials", 10, "--json")
    found = json.loads(printed)

    assert code == 0
    assert found["holds"]
    assert found["workload"] == "my-net.2"
    assert {item["check"]: item["verdict"] for item in found["checks"]} == dict.fromkeys(
        ["splits", "inputs", "disjoint", "order", "shuffling", "limit", "model", "batches", "loss", "export", "metric", "layers", "evaluation"], "holds"
    )  # fmt: skip
    cost = found["cost"]
    assert (cost["trials"], cost["epochs"]) == (10, 2.0)
    assert cost["search_s"] == pytest.approx(15 * cost["evaluation_s"] + 20 * cost["epoch_s"])
    assert 0 < cost["epoch_s"] < 60


def test_a_metric_that_falls_where_the_model_is_better_fails_the_check(run, tmp_path):
    run("workloads", "new", "wrong")
    path = tmp_path / "wrong.py"
    path.write_text(path.read_text().replace("== targets", "!= targets"))

    code, printed, _ = run("workloads", "check", "wrong.py:factory")

    assert code == 1
    assert "the metric must be higher where the model is better" in " ".join(printed.split())


def test_what_fails_early_is_told_without_a_measurement(run, tmp_path):
    run("workloads", "new", "wrong")
    path = tmp_path / "wrong.py"
    path.write_text(path.read_text().replace("return net.eval()", "return net.train()"))
    path.write_text(path.read_text().replace("generator=torch.Generator().manual_seed(seed))\n        for", "generator=torch.Generator())\n        for"))  # fmt: skip

    code, printed, _ = run("workloads", "check", "wrong.py:factory", "--json")
    found = json.loads(printed)

    assert code == 1
    assert found["cost"] is None
    failed = {item["check"] for item in found["checks"] if item["verdict"] == "fails"}
    assert failed == {"shuffling"}
    assert "export" not in {item["check"] for item in found["checks"]}


def test_a_file_that_is_there_is_not_overwritten_and_a_wrong_name_not_taken(run, tmp_path):
    (tmp_path / "mine.py").write_text("mine")

    assert run("workloads", "new", "mine")[0] == 1
    assert (tmp_path / "mine.py").read_text() == "mine"
    assert run("workloads", "new", "a b")[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_an_unknown_workload_lists_the_known_ones(run):
    code, _, said = run("workloads", "check", "nope")

    assert code == 2
    assert "digits-cnn" in said
