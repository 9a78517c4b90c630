"""The command line as a user has it: a file of their own, no server."""

import json
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import onnxruntime
import pytest
import yaml

from tests.processes import free_port, served, tauten, wait_until

DOCS = Path(__file__).parents[2] / "docs"
LIGHT = Path(__file__).with_name("light.py")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The workload of the documentation, word for word, and a lighter one, in a directory of their own."""
    code = re.search(r"```python\n(.*?)```", (DOCS / "workloads.md").read_text(), re.DOTALL)[1]
    directory = tmp_path_factory.mktemp("user")
    (directory / "mine.py").write_text(code)
    shutil.copy(LIGHT, directory)
    return directory


SEARCH = ["search", "mine.py:factory", "--trials", 8, "--max-accuracy-drop", 0.05, "--out", "out"]
QUICKLY = ["--sampler", "random", "--profile", "none"]


@pytest.fixture(scope="module")
def searched(mine):
    done = tauten(*SEARCH, cwd=mine)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
def test_a_users_own_model_is_searched_and_everything_is_left(searched, mine):
    out = mine / "out"
    front = json.loads((out / "front.json").read_text())
    recipe = yaml.safe_load((out / "recipe.yaml").read_text())

    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "front.json", "trials.csv", "report.html", "recipe.yaml", "artifact.onnx"
    }  # fmt: skip
    assert len((out / "trials.csv").read_text().splitlines()) == 9
    assert front["constraints_met"]
    assert all("accuracy_test" in trial for trial in front["trials"])
    assert front["optimism"]["trial"] == front["chosen"]
    assert front["optimism"]["again"] is not None
    assert "on the test split" in searched.stderr
    assert recipe["origin"]["trial"] == front["chosen"]
    assert recipe["artifact"]["size_bytes"] == (out / "artifact.onnx").stat().st_size
    assert "trial 8/8" in searched.stderr
    assert "chosen" in searched.stdout


def test_the_artifact_runs_with_a_runtimes_default_options(searched, mine):
    from evaluators.workloads import load_workload

    workload = load_workload(f"{mine / 'mine.py'}:factory", allow_files=True)
    (images,), labels = next(workload.batches("test", 10_000))

    outputs = onnxruntime.InferenceSession(str(mine / "out" / "artifact.onnx")).run(
        None, {"input": images.numpy()}
    )[0]

    claimed = yaml.safe_load((mine / "out" / "recipe.yaml").read_text())["claims"]["accuracy_test"]["value"]
    assert workload.metric(outputs, labels.numpy()) == pytest.approx(claimed)


def test_the_same_search_again_answers_from_what_is_stored(searched, mine):
    again = tauten(*SEARCH, cwd=mine)

    assert again.returncode == 0
    assert again.stdout == searched.stdout


@pytest.mark.slow
def test_a_recipe_is_applied_to_the_same_file_to_the_byte(searched, mine):
    done = tauten(
        "apply", "out/recipe.yaml", "--workload", "mine.py:factory", "--out", "applied", "--json", cwd=mine
    )

    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["same_artifact"]
    assert (mine / "applied" / "artifact.onnx").read_bytes() == (mine / "out" / "artifact.onnx").read_bytes()
    assert (mine / "applied" / "model.safetensors").stat().st_size > 0


@pytest.mark.slow
def test_a_recipe_is_verified_claim_by_claim(searched, mine):
    done = tauten("verify", "out/recipe.yaml", "--workload", "mine.py:factory", "--json", cwd=mine)

    verdicts = {check["claim"]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
    exact = {name: verdict for name, verdict in verdicts.items() if name != "latency_ms"}
    assert set(exact) == {
        "workload", "artifact", "accuracy", "accuracy_drop", "accuracy_test", "size_bytes", "packed_size_bytes",
        "peak_memory_bytes", "macs",
    }  # fmt: skip
    assert set(exact.values()) == {"holds"}
    assert "latency_ms" in verdicts


@pytest.mark.slow
def test_a_claim_that_is_not_so_fails(searched, mine):
    recipe = yaml.safe_load((mine / "out" / "recipe.yaml").read_text())
    recipe["claims"]["accuracy"]["value"] = 0.5
    recipe["claims"]["macs"]["value"] += 1
    (mine / "false").mkdir(exist_ok=True)
    (mine / "false" / "recipe.yaml").write_text(yaml.safe_dump(recipe))

    done = tauten("verify", "false/recipe.yaml", "--workload", "mine.py:factory", "--json", cwd=mine)

    verdicts = {check["claim"]: check["verdict"] for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 1
    assert (verdicts["accuracy"], verdicts["macs"]) == ("fails", "fails")
    assert verdicts["artifact"] == "holds"  # made again, since none lies beside the recipe


@pytest.fixture(scope="module")
def unmet(mine):
    """A search of which nothing can meet the constraint."""
    return tauten(
        "search", "light.py:factory", *QUICKLY, "--trials", 2, "--max-accuracy-drop", -0.5, "--out", "unmet",
        "--json", cwd=mine,
    )  # fmt: skip


@pytest.mark.slow
def test_one_policy_is_evaluated_as_a_trial(unmet, mine):
    front = json.loads((mine / "unmet" / "front.json").read_text())
    (mine / "policy.json").write_text(json.dumps(front["trials"][0]["policy"]))
    (mine / "chatty.py").write_text(
        (mine / "light.py").read_text()
        + "\n\nprint('hello')\n\n\ndef factory():\n    print('making')\n    return Light()\n"
    )

    done = tauten(
        "evaluate", "policy.json", "--workload", "chatty.py:factory", "--out", "one", "--json", cwd=mine
    )

    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert {"hello", "making"} <= set(done.stderr.splitlines())
    assert document["artifact"] == front["trials"][0]["artifact"]
    found = front["trials"][0]["metrics"]["accuracy"]
    assert document["metrics"]["accuracy"] | {"again": found["again"]} == found
    assert (mine / "one" / "artifact.onnx").exists()


@pytest.mark.slow
def test_a_constraint_that_nothing_meets_exits_with_3_and_keeps_the_nearest_miss(unmet, mine):
    document = json.loads(unmet.stdout)
    assert unmet.returncode == 3
    assert not document["front"]["constraints_met"]
    assert document["front"]["constraint_binding"] == "accuracy_drop"
    assert (mine / "unmet" / "recipe.yaml").exists()


@pytest.mark.slow
def test_a_search_that_is_interrupted_goes_on_with_the_same_command(mine):
    command = ["search", "light.py:factory", *QUICKLY, "--trials", "3", "--seed", "5", "--out", "stopped"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tauten", *command],
        cwd=mine,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    lines = iter(process.stderr.readline, "")
    wait_until(lambda: next(lines).startswith("trial 2/3"), 120, "the second trial")
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)

    other = tauten("search", "nothing.py:factory", "--trials", "1", "--out", "stopped", cwd=mine)
    again = tauten(*command, cwd=mine)

    assert process.returncode == 130
    assert "nothing.py does not exist" in other.stderr  # it is run, while the unfinished one rests
    assert "Run the same command again to go on" in rest
    assert "of 3 trials are done" in again.stderr
    assert again.returncode == 0
    rows = (mine / "stopped" / "trials.csv").read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [str(number) for number in range(len(rows))]
    assert sum(row.split(",")[1] != "gated" for row in rows) == 3  # what is gated is free


BRANCHING = """    def model(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.dark, self.light = nn.Linear(64, 10), nn.Linear(64, 10)

            def forward(self, x):
                return (self.light if x.mean() > 0.3 else self.dark)(x.flatten(1))

        return Net().eval()"""

UNEXPORTABLE = """    def model(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.fc = nn.Linear(64, 10)

            def forward(self, x):
                return self.fc(torch.linalg.matrix_exp(x[:, 0]).flatten(1))

        return Net().eval()"""

UNTRAINED = """    def model(self):
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()

"""

FAULTS = {
    "metric raises": (
        UNTRAINED + "    def metric(self, o, t):\n        raise RuntimeError('no labels')",
        "metric raised RuntimeError: no labels",
    ),
    "metric is NaN": (
        UNTRAINED + "    def metric(self, o, t):\n        return float('nan')",
        "metric returned nan, not a finite number",
    ),
    "model cannot be exported": (UNEXPORTABLE, "the model cannot be exported"),
    "model branches on its data": (BRANCHING, "the fp32 artifact is not faithful"),
    "no layers": ("    def model(self):\n        return nn.Flatten()", "no layer that can be compressed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_workload_fails_the_search_with_one_line_that_names_the_cause(mine, fault):
    override, says = FAULTS[fault]
    name = fault.replace(" ", "_")
    code = (mine / "light.py").read_text()
    (mine / f"{name}.py").write_text(code + f"\n\nclass Faulty(Light):\n{override}\n\n\nfactory = Faulty\n")

    done = tauten("search", f"{name}.py:factory", *QUICKLY, "--trials", 2, "--out", name, cwd=mine)

    *before, line = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("error: ")
    assert says in line
    assert "'light'" in line or fault == "no layers"
    # torch 2.13 logs the graph that holds an operator it cannot export, and its switch for that has no effect
    assert not before or (fault == "model cannot be exported" and before[0].startswith("Torch IR graph"))


FACTORIES = {
    "raises": (
        "def factory():\n    raise RuntimeError('the disk\\nis [empty]')",
        "RuntimeError: the disk is [empty]",
    ),
    "exits": ("raise SystemExit(3)", "'exits.py:factory' cannot be prepared: evaluators.process has ended"),
    "lacks": (
        "def factory():\n    return object()",
        "object lacks model, example_inputs, batches, loss, metric",
    ),
}


@pytest.mark.parametrize("fault", FACTORIES)
def test_a_factory_that_makes_no_workload_fails_the_search_with_one_line(tmp_path, fault):
    code, says = FACTORIES[fault]
    (tmp_path / f"{fault}.py").write_text(code + "\n")

    done = tauten("search", f"{fault}.py:factory", "--trials", 1, "--out", "out", cwd=tmp_path)

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("error: workload ")
    assert says in line


@pytest.mark.slow
def test_a_loss_that_raises_fails_each_trial_and_the_search_ends_with_the_reason(mine):
    (mine / "lossy.py").write_text(
        (mine / "light.py").read_text()
        + """

class Lossy(Light):
    def model(self):
        net = super().model()
        self.loss = self.broken
        return net

    def broken(self, outputs, targets):
        raise ArithmeticError("no loss today")


factory = Lossy
"""
    )

    done = tauten("search", "lossy.py:factory", *QUICKLY, "--trials", 2, "--out", "lossy", cwd=mine)

    *_, wrote, error = done.stderr.splitlines()
    rows = (mine / "lossy" / "trials.csv").read_text().splitlines()[1:]
    assert done.returncode == 1
    assert error.startswith("error: no trial was completed; the last, trial 1, is failed: ")
    assert "no loss today" in error
    assert "front.json" in wrote
    assert "recipe.yaml" not in wrote
    assert [row.split(",")[:2] for row in rows] == [["0", "failed"], ["1", "failed"]]
    assert all("no loss today" in row for row in rows)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search", "nope", "--out", "x"], "unknown workload 'nope'; choose one of: digits-cnn"),
        (["search", "digits-cnn", "--target", "toaster", "--out", "x"], "unknown target 'toaster'"),
        (["search", "digits-cnn", "--sampler", "oracle", "--out", "x"], "/sampler: 'oracle' is not one of"),
        (
            ["search", "digits-cnn", "--objectives", "beauty", "--out", "x"],
            "/objectives/0: 'beauty' is not one of",
        ),
        (["search", "digits-cnn", "--space", "nothing.yaml", "--out", "x"], "nothing.yaml cannot be read"),
        (["verify", "nothing.yaml"], "nothing.yaml cannot be read"),
        (["search", "digits-cnn", "--trials", "0", "--out", "x"], "Invalid value for '--trials'"),
        (
            ["serve", "--host", "0.0.0.0", "--data", "d"],
            "there is no API key; make one with 'tauten key create",
        ),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_to_do(tmp_path, arguments, says):
    done = tauten(*arguments, cwd=tmp_path)

    assert done.returncode == 2
    assert says in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


def test_a_missing_file_fails_the_search_by_name(tmp_path):
    done = tauten("search", "nothing.py:factory", "--trials", 1, "--out", "x", cwd=tmp_path)

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert "nothing.py does not exist" in line


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search", "digits-cnn", "--trials", "1", "--out", "taken"], "taken"),
        (["serve", "--data", "taken"], "taken: File exists"),
        (["serve", "--data", "x", "--database", "postgresql://127.0.0.1:9/none"], "cannot serve: connection"),
    ],
)
def test_what_stands_in_the_way_is_said_in_one_line(tmp_path, arguments, says):
    (tmp_path / "taken").touch()
    port = ["--port", free_port()] if arguments[0] == "serve" else []

    done = tauten(*arguments, *port, cwd=tmp_path)

    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    assert line.startswith("error: ")
    assert says in line


@pytest.mark.slow
def test_jobs_are_submitted_watched_and_read_over_http(tmp_path):
    spec = {
        "workload": "digits-cnn",
        "objectives": ["accuracy", "size_bytes"],
        "space": {"students": [None], "recovery": [None]},
        "sampler": "random",
        "profile": "none",
        "budget": {"trials": 2},
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    with served(tmp_path) as server:
        url = ["--url", server.client.url]
        job = json.loads(tauten("job", "submit", tmp_path / "spec.json", "--watch", "--json", *url).stdout)
        front = json.loads(tauten("job", "front", job["id"], "--json", *url).stdout)
        listed = json.loads(tauten("job", "list", "--json", *url).stdout)["items"]
        tauten("job", "recipe", job["id"], "--out", tmp_path / "recipe.yaml", *url)
        tauten("job", "artifact", job["id"], "--out", tmp_path / "model.onnx", *url)
        missing = tauten("job", "show", "nope", *url)

    recipe = yaml.safe_load((tmp_path / "recipe.yaml").read_text())
    assert (job["state"], job["progress"]["trials"]["done"]) == ("succeeded", 2)
    assert [item["id"] for item in listed] == [job["id"]]
    assert recipe["origin"] == {"job": job["id"], "trial": front["chosen"]}
    assert recipe["artifact"]["size_bytes"] == (tmp_path / "model.onnx").stat().st_size
    assert (missing.returncode, missing.stderr.strip()) == (1, "error: unknown job 'nope'")


def test_the_version_is_said_without_a_command():
    done = tauten("--version")

    assert (done.returncode, done.stdout.strip()) == (0, version("tauten"))


def test_without_a_service_the_remedy_is_named():
    done = tauten("job", "list", "--url", "http://127.0.0.1:9")

    assert done.returncode == 1
    assert "start one with: tauten serve" in " ".join(done.stderr.split())
