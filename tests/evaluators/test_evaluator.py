import math
from dataclasses import replace

import onnxruntime
import pytest
import torch
from torch import nn

from evaluators import Gate
from evaluators.evaluator import Evaluator
from evaluators.targets import find_target
from spaces import (
    ActivationFormat,
    DeploymentError,
    LayerPolicy,
    Policy,
    Prune,
    Recovery,
    WeightFormat,
    WorkloadError,
)
from tests.models import Around, Flattening, Reusing

INT8 = {"weight": WeightFormat(8), "activation": ActivationFormat(8, "static")}


def half_int8(evaluator, recovery):
    inventory = evaluator.inventory(None)
    leaders = {group.leader for group in inventory.groups if group.fixed_because is None}
    return Policy(
        layers={
            layer.name: LayerPolicy(prune=Prune(0.5) if layer.name in leaders else None, **INT8)
            for layer in inventory.layers
        },
        recovery=recovery,
    )


def test_half_the_channels_in_int8_is_small_and_fast_and_nearly_as_good(digits_evaluator):
    shares = []

    outcome, path = digits_evaluator.evaluate(
        half_int8(digits_evaluator, Recovery(epochs=2.0)), report=shares.append
    )

    metrics = outcome.metrics
    assert outcome.status == "completed"
    assert set(outcome.executed_as.values()) == {"int8"}
    assert metrics["size_bytes"].ratio > 12
    assert metrics["size_bytes"].value == path.stat().st_size == outcome.artifact.size_bytes
    assert metrics["macs"].ratio == pytest.approx(4, rel=0.02)
    assert metrics["latency_ms"].speedup > 2
    assert metrics["latency_ms"].low <= metrics["latency_ms"].value <= metrics["latency_ms"].high
    assert metrics["accuracy"].value > 0.95
    assert metrics["accuracy"].low <= metrics["accuracy"].value <= metrics["accuracy"].high
    assert metrics["accuracy_drop"].value == pytest.approx(
        digits_evaluator.reference.metrics["accuracy"].value - metrics["accuracy"].value
    )
    assert shares[-1] == 1.0


def test_the_artifact_is_what_was_scored(digits, digits_evaluator):
    outcome, path = digits_evaluator.evaluate(half_int8(digits_evaluator, None))
    (images,), labels = next(digits.batches("validation", 10_000))

    outputs = onnxruntime.InferenceSession(str(path)).run(None, {"input": images.numpy()})[0]

    assert digits.metric(outputs, labels.numpy()) == outcome.metrics["accuracy"].value


def test_the_reference_is_what_speed_ups_and_ratios_are_against(digits_evaluator):
    metrics = digits_evaluator.reference.metrics

    assert metrics["latency_ms"].speedup == metrics["size_bytes"].ratio == metrics["macs"].ratio == 1.0
    assert metrics["accuracy_drop"].value == 0.0
    assert metrics["accuracy"].value > 0.985


def test_the_finish_reads_the_test_split_and_measures_together(digits_evaluator):
    _, path = digits_evaluator.evaluate(half_int8(digits_evaluator, None))

    results = digits_evaluator.finish({"7": path})

    assert set(results) == {"7", "baseline"}
    assert results["baseline"]["latency_ms"].speedup == 1.0
    assert results["baseline"]["accuracy_test"].split == "test"
    assert results["baseline"]["accuracy_test"].value >= 0.985
    assert results["7"]["latency_ms"].speedup > 1.5
    assert results["baseline"]["accuracy_drop_test"].value == 0
    fallen = results["7"]["accuracy_drop_test"]
    assert fallen.split == "test"
    assert fallen.low <= fallen.value <= fallen.high
    assert fallen.value == pytest.approx(
        results["baseline"]["accuracy_test"].value - results["7"]["accuracy_test"].value
    )


def test_a_policy_that_is_trained_again_is_scored_on_validation_and_leaves_nothing(digits_evaluator):
    policy = half_int8(digits_evaluator, Recovery(epochs=0.25))
    before = sorted(digits_evaluator.directory.iterdir())

    same, again, other = (digits_evaluator.repeat(policy, seed) for seed in (1, 1, 2))

    assert same == again != other
    assert {metric.split for metric in same.values()} == {"validation"}
    assert set(same) == {"accuracy", "accuracy_drop"}
    assert sorted(digits_evaluator.directory.iterdir()) == before


def test_a_policy_that_does_not_fit_the_model_is_infeasible_with_the_reason(digits_evaluator):
    outcome, path = digits_evaluator.evaluate(Policy(layers={"nowhere": LayerPolicy(**INT8)}))

    assert (outcome.status, path) == ("infeasible", None)
    assert "no layer 'nowhere'" in outcome.reason
    assert "\n" not in outcome.reason


def test_a_candidate_that_cannot_reach_the_front_is_not_trained(digits_evaluator):
    gate = Gate([{"size_bytes": 1.0, "latency_ms": 1e-6}])
    trained = []

    outcome, path = digits_evaluator.evaluate(
        half_int8(digits_evaluator, Recovery()), gate=gate, report=trained.append
    )

    assert (outcome.status, path, trained) == ("gated", None, [])
    assert "could not reach the front" in outcome.reason


def test_the_gate_lets_pass_whoever_wins_on_one_cost(digits_evaluator):
    metrics = digits_evaluator.reference.metrics
    beaten = {"size_bytes": metrics["size_bytes"].value - 1, "latency_ms": metrics["latency_ms"].value / 2}

    assert Gate([beaten]).refuses(metrics)
    assert not Gate([{**beaten, "size_bytes": metrics["size_bytes"].value + 1}]).refuses(metrics)
    assert not Gate([{**beaten, "latency_ms": metrics["latency_ms"].value * 0.98}]).refuses(metrics)
    assert not Gate([]).refuses(metrics)


class Faulty(Around):
    """A workload with one fault, to be overridden."""


def faulty(digits, make=Flattening, **overrides):
    kind = type("Faulty", (Faulty,), overrides)
    return kind(digits, make, epochs=1)


def open_evaluator(workload, tmp_path):
    return Evaluator(workload, find_target("local-cpu"), tmp_path)


def raising(self, *args, **kwargs):
    message = "the disk is on fire\nand more"
    raise OSError(message)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ({"model": raising}, "model raised OSError: the disk is on fire"),
        ({"metric": raising}, "metric raised OSError: the disk is on fire"),
        ({"metric": lambda self, outputs, targets: math.nan}, "metric returned nan, not a finite number"),
        ({"metric": lambda self, outputs, targets: "good"}, "metric raised ValueError"),
        ({"batches": lambda self, *args, **kwargs: iter(())}, "the split is empty"),
    ],
    ids=["model", "metric raises", "metric is NaN", "metric is a word", "no data"],
)
def test_a_faulty_workload_is_named_with_the_cause_in_one_line(digits, tmp_path, overrides, says):
    workload = faulty(digits)
    for name, override in overrides.items():
        setattr(workload, name, override.__get__(workload))

    with pytest.raises(WorkloadError) as caught:
        open_evaluator(workload, tmp_path)

    assert says in str(caught.value)
    assert "'flattening'" in str(caught.value)
    assert "\n" not in str(caught.value)


class Complex(nn.Module):
    """Has an operator that no ONNX operator set knows."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        return self.out(torch.linalg.matrix_exp(x.squeeze(1)).flatten(1))


def test_a_model_that_cannot_be_exported_is_named_with_the_exporters_reason(digits, tmp_path):
    with pytest.raises(WorkloadError, match="'complex': the model cannot be exported: ") as caught:
        open_evaluator(Around(digits, Complex, epochs=0), tmp_path)

    assert "\n" not in str(caught.value)


def test_a_loss_that_raises_fails_the_trial_and_not_the_evaluator(digits, tmp_path):
    workload = Around(digits, Flattening, epochs=1)
    model = workload.model()
    workload.model = lambda: model
    workload.loss = raising.__get__(workload)
    with open_evaluator(workload, tmp_path) as evaluator:
        outcome, _ = evaluator.evaluate(Policy(recovery=Recovery(epochs=0.1)))
        again, _ = evaluator.evaluate(Policy())

    assert outcome.status == "failed"
    assert outcome.reason == "OSError: the disk is on fire"
    assert again.status == "completed"


def test_an_evaluation_that_fails_leaves_no_file_behind(digits, tmp_path, monkeypatch):
    workload = Around(digits, Flattening, epochs=1)
    with open_evaluator(workload, tmp_path) as evaluator:
        before = sorted(tmp_path.iterdir())
        monkeypatch.setattr(workload, "loss", raising.__get__(workload))
        failed, _ = evaluator.evaluate(Policy(recovery=Recovery(epochs=0.1)))
        infeasible, _ = evaluator.evaluate(Policy(layers={"a_1": LayerPolicy(weight=WeightFormat(4))}))

    assert (failed.status, infeasible.status) == ("failed", "infeasible")
    assert sorted(tmp_path.iterdir()) == before


def test_outputs_may_be_a_tuple_of_which_the_first_counts(digits, tmp_path):
    with open_evaluator(Around(digits, Reusing, epochs=1), tmp_path) as evaluator:
        policy = Policy(layers={"shared": LayerPolicy(**INT8)}, recovery=Recovery(epochs=0.2))
        outcome, _ = evaluator.evaluate(policy)

    assert outcome.status == "completed", outcome.reason
    assert outcome.executed_as == {"stem": "float32", "shared": "int8", "out": "float32"}


def test_an_outcome_survives_its_journey_between_processes(digits_evaluator):
    from evaluators import Outcome

    outcome, _ = digits_evaluator.evaluate(half_int8(digits_evaluator, None))

    assert Outcome.from_dict(outcome.to_dict()) == replace(outcome)


class Undefined(nn.Module):
    """Divides by zero where an image is dark."""

    def __init__(self):
        super().__init__()
        self.out = nn.Linear(64, 10)

    def forward(self, x):
        return self.out(x.flatten(1)) / x.mean((1, 2, 3))[:, None].clamp(max=0)


def test_a_model_whose_outputs_are_not_finite_is_named_and_nothing_is_measured(digits, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluators.meter.Meter.measure", raising)

    with pytest.raises(WorkloadError, match="'undefined': the model's outputs hold NaN or infinity"):
        open_evaluator(Around(digits, Undefined, epochs=0), tmp_path)


@pytest.mark.parametrize("name", ["local-cpu-openvino", "local-cpu-batch8"])
def test_other_targets_of_this_machine_score_int8_on_their_own_reference(digits, tmp_path, name):
    with Evaluator(digits, find_target(name), tmp_path) as evaluator:
        outcome, _ = evaluator.evaluate(half_int8(evaluator, None))
        reference = evaluator.reference

    assert outcome.status == "completed", outcome.reason
    assert set(outcome.executed_as.values()) == {"int8"}
    assert outcome.metrics["latency_ms"].speedup > 1.5
    assert reference.feed["input"].shape[0] == find_target(name).batch
    assert {"packed_size_bytes", "peak_memory_bytes"} <= set(outcome.metrics) & set(reference.metrics)


@pytest.mark.slow
def test_two_threads_are_scored_too(digits, tmp_path):
    target = replace(find_target("local-cpu"), threads=2)
    with Evaluator(digits, target, tmp_path) as evaluator:
        outcome, _ = evaluator.evaluate(half_int8(evaluator, None))

    assert outcome.status == "completed", outcome.reason
    assert outcome.metrics["latency_ms"].speedup > 1


def test_a_batch_of_another_shape_than_the_examples_is_refused_with_the_remedy(digits, tmp_path):
    workload = faulty(digits)
    whole = workload.batches

    def cut(split, *args, **kwargs):
        for inputs, targets in whole(split, *args, **kwargs):
            yield ((inputs[0][..., :7],) if split == "validation" else inputs), targets

    workload.batches = cut

    with pytest.raises(
        DeploymentError, match=r"takes batch x 1 x 8 x 8, but 8 x 1 x 8 x 7 was given.*pad or cut"
    ):
        open_evaluator(workload, tmp_path)
