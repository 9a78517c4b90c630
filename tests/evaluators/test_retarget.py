import sys
from dataclasses import replace

import pytest

from evaluators.evaluator import Evaluator
from evaluators.retarget import Candidate, retarget
from evaluators.targets import find_target
from spaces import (
    ActivationFormat,
    LayerPolicy,
    Method,
    Metric,
    Policy,
    Prune,
    Recovery,
    WeightFormat,
    WorkloadError,
)

INT8 = {"weight": WeightFormat(8), "activation": ActivationFormat(8, "static")}


@pytest.fixture(scope="module")
def finished(digits_evaluator):
    """Three trials of a job on the default target, and the job's provenance."""
    inventory = digits_evaluator.inventory(None)
    leader = next(group.leader for group in inventory.groups if group.fixed_because is None)
    names = [layer.name for layer in inventory.layers]
    policies = {
        "int8": Policy(layers={name: LayerPolicy(**INT8) for name in names}),
        "half": Policy(layers={leader: LayerPolicy(prune=Prune(0.5))}, recovery=Recovery(epochs=0.5)),
        "dynamic": Policy(
            layers={"head": LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "dynamic"))}
        ),
    }
    candidates = {}
    for name, policy in policies.items():
        outcome, path = digits_evaluator.evaluate(policy)
        assert outcome.status == "completed", outcome.reason
        candidates[name] = Candidate.from_dict({**outcome.to_dict(), "policy": policy.to_dict()}, path)
    return candidates, digits_evaluator.provenance()


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("something was trained")

    monkeypatch.setattr(sys.modules["compression.compress"], "fit", refuse)


def counted(monkeypatch, evaluator):
    """The artifacts whose validation split is evaluated from now on."""
    read = []
    whole = evaluator.accuracies
    monkeypatch.setattr(evaluator, "accuracies", lambda path: read.append(path.name) or whole(path))
    return read


@pytest.mark.usefixtures("no_training")
def test_the_same_runtime_takes_accuracy_over_and_measures_latency_anew(
    digits, finished, tmp_path, monkeypatch
):
    candidates, provenance = finished
    shares = []
    with Evaluator(digits, find_target("local-cpu-batch8"), tmp_path) as evaluator:
        read = counted(monkeypatch, evaluator)
        outcomes = retarget(evaluator, candidates, provenance, shares.append)

    assert read == []
    assert shares[-1] == 1.0
    for name, outcome in outcomes.items():
        before = candidates[name].metrics
        assert outcome.status == "completed", outcome.reason
        for metric in ("accuracy", "accuracy_drop", "macs"):
            assert outcome.metrics[metric] == before[metric]
        assert outcome.metrics["size_bytes"].value == before["size_bytes"].value
        assert outcome.metrics["peak_memory_bytes"].value > 3 * before["peak_memory_bytes"].value
        assert outcome.metrics["latency_ms"] != before["latency_ms"]
    assert outcomes["int8"].metrics["latency_ms"].speedup > 1.5


@pytest.mark.usefixtures("no_training")
def test_another_runtime_evaluates_accuracy_again_and_refuses_what_it_runs_otherwise(
    digits, finished, tmp_path, monkeypatch
):
    candidates, provenance = finished
    with Evaluator(digits, find_target("local-cpu-openvino"), tmp_path) as evaluator:
        read = counted(monkeypatch, evaluator)
        outcomes = retarget(evaluator, candidates, provenance)

    assert len(read) == 2
    assert outcomes["int8"].status == outcomes["half"].status == "completed"
    assert set(outcomes["int8"].executed_as.values()) == {"int8"}
    assert outcomes["int8"].metrics["accuracy"].value > 0.97
    assert outcomes["dynamic"].status == "infeasible"
    assert outcomes["dynamic"].artifact is None
    assert "head: the target has no kernel for what the policy asks" in outcomes["dynamic"].reason


def test_another_cpu_evaluates_accuracy_again(digits_evaluator, finished, monkeypatch):
    candidates, provenance = finished
    fingerprint = {**provenance["target"]["fingerprint"], "cpu": "another"}
    elsewhere = {**provenance, "target": {**provenance["target"], "fingerprint": fingerprint}}
    wrong = {**candidates["half"].metrics, "accuracy": Metric(0.5, "fraction", split="validation")}
    candidate = replace(candidates["half"], metrics=wrong)
    read = counted(monkeypatch, digits_evaluator)

    outcome = retarget(digits_evaluator, {"half": candidate}, elsewhere)["half"]

    assert len(read) == 1
    assert outcome.metrics["accuracy"] == candidates["half"].metrics["accuracy"]
    assert outcome.metrics["accuracy"].method is Method.MEASURED


def test_a_layer_that_runs_otherwise_now_is_evaluated_again(digits_evaluator, finished, monkeypatch):
    candidates, provenance = finished
    executed = {**candidates["half"].executed_as, "head": "bfloat16"}
    read = counted(monkeypatch, digits_evaluator)

    retarget(digits_evaluator, {"half": replace(candidates["half"], executed_as=executed)}, provenance)

    assert len(read) == 1


@pytest.mark.parametrize("part", ["model", "data"])
def test_candidates_of_another_model_or_other_data_are_refused(digits_evaluator, finished, part):
    candidates, provenance = finished
    changed = {**provenance, "workload": {**provenance["workload"], part: "sha256:0"}}

    with pytest.raises(WorkloadError, match=f"another {part} of workload 'digits-cnn'.*search again"):
        retarget(digits_evaluator, candidates, changed)


def test_a_damaged_artifact_is_infeasible_and_the_others_are_scored(digits_evaluator, finished, tmp_path):
    candidates, provenance = finished
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(candidates["int8"].artifact.read_bytes()[:5000])

    outcomes = retarget(
        digits_evaluator,
        {"damaged": replace(candidates["int8"], artifact=damaged), "half": candidates["half"]},
        provenance,
    )

    assert outcomes["damaged"].status == "infeasible"
    assert "refuses the artifact" in outcomes["damaged"].reason
    assert outcomes["half"].status == "completed"


def test_the_evaluating_process_does_it_on_request(digits, finished, digits_evaluator):
    from evaluators.process import Desk

    candidates, provenance = finished
    desk = Desk()
    desk._evaluator = digits_evaluator
    documents = {
        "7": {
            "policy": candidates["half"].policy.to_dict(),
            "executed_as": dict(candidates["half"].executed_as),
            "metrics": {name: metric.to_dict() for name, metric in candidates["half"].metrics.items()},
            "path": str(candidates["half"].artifact),
        }
    }
    answers = []

    desk.handle({"do": "retarget", "candidates": documents, "provenance": provenance}, answers.append)

    assert answers[-1]["outcomes"]["7"]["status"] == "completed"
