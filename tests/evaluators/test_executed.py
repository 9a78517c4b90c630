"""What runs is what the policy says, under the session options that a user has."""

import random

import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compression import Deployment, compress, list_layers, quantization
from evaluators.evaluator import Evaluator
from evaluators.executed import check_executed, read_executed
from evaluators.targets import find_target
from spaces import ActivationFormat, DeploymentError, LayerPolicy, Policy, WeightFormat
from tests.models import MODELS, Around

INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
CAPABILITIES = find_target("local-cpu").capabilities


def layer_names(workload, model):
    return [layer.name for layer in list_layers(model, workload.example_inputs())]


def deployed(workload, model, quantized, path):
    policy = Policy(layers=dict.fromkeys(quantized, INT8))
    deployment = Deployment(channel_multiple=8, reduce_range=True)
    return compress(workload, model, policy, path, deployment=deployment).artifact.path


def expected(names, quantized):
    return {name: "int8" if name in quantized else "float32" for name in names}


def test_the_runtime_quantizes_a_float_layer_behind_our_back_unless_it_is_guarded(
    digits, digits_model, tmp_path, monkeypatch
):
    """If the first half fails, the runtime has mended its ways and the guard can go."""
    names = layer_names(digits, digits_model)
    quantized = [name for name in names if name != "stage1.0.conv1"]

    with monkeypatch.context() as unguarded:
        unguarded.setattr(quantization, "_guard_float_layers", lambda graph, chosen: None)
        trapped = read_executed(deployed(digits, digits_model, quantized, tmp_path / "trapped.onnx"))
    guarded = read_executed(deployed(digits, digits_model, quantized, tmp_path / "guarded.onnx"))

    assert trapped["stage1.0.conv1"] == "int8"
    assert guarded["stage1.0.conv1"] == "float32"


def test_the_guard_changes_no_number(digits, digits_model, tmp_path, monkeypatch):
    """With the runtime's optimizers off, both files compute the same to the bit."""
    names = layer_names(digits, digits_model)
    quantized = [name for name in names if name not in {"stage1.0.conv1", "stage2.1.conv2"}]
    guarded = deployed(digits, digits_model, quantized, tmp_path / "guarded.onnx")
    with monkeypatch.context() as unguarded:
        unguarded.setattr(quantization, "_guard_float_layers", lambda graph, chosen: None)
        plain = deployed(digits, digits_model, quantized, tmp_path / "plain.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (images,), _ = next(digits.batches("validation", 50))

    outputs = [
        onnxruntime.InferenceSession(str(path), options).run(None, {"input": images.numpy()})[0]
        for path in (guarded, plain)
    ]

    assert (outputs[0] == outputs[1]).all()


def test_any_single_layer_stays_float_among_int8_neighbours(digits, digits_model, tmp_path):
    names = layer_names(digits, digits_model)
    for kept in names:
        quantized = set(names) - {kept}
        executed = read_executed(deployed(digits, digits_model, quantized, tmp_path / "x.onnx"))
        assert executed == expected(names, quantized), kept


def test_any_single_layer_runs_in_int8_among_float_neighbours(digits, digits_model, tmp_path):
    names = layer_names(digits, digits_model)
    for chosen in names:
        executed = read_executed(deployed(digits, digits_model, {chosen}, tmp_path / "x.onnx"))
        assert executed == expected(names, {chosen}), chosen


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_choice_of_layers_is_honoured(digits, digits_model, tmp_path, data):
    names = layer_names(digits, digits_model)
    quantized = set(data.draw(st.lists(st.sampled_from(names), unique=True)))

    executed = read_executed(deployed(digits, digits_model, quantized, tmp_path / "x.onnx"))

    assert executed == expected(names, quantized)


@pytest.mark.parametrize("make", MODELS)
def test_any_choice_of_layers_is_honoured_on_other_architectures(digits, make, tmp_path):
    workload = Around(digits, make, epochs=1)
    model = workload.model()
    names = layer_names(workload, model)
    draw = random.Random(0)
    choices = [set(), set(names), *({name} for name in names), *(set(names) - {name} for name in names)]
    choices += [{name for name in names if draw.random() < 0.5} for _ in range(6)]
    for quantized in choices:
        executed = read_executed(deployed(workload, model, quantized, tmp_path / "x.onnx"))
        assert executed == expected(names, quantized), quantized


def test_a_file_that_runs_otherwise_is_refused_with_layer_asked_and_found(digits, digits_model):
    layers = list_layers(digits_model, digits.example_inputs())
    executed = dict.fromkeys((layer.name for layer in layers), "float32")

    with pytest.raises(DeploymentError, match="head: asked int8, runs as float32"):
        check_executed(executed, Policy(layers={"head": INT8}), layers, CAPABILITIES)
    del executed["stem.0"]
    with pytest.raises(DeploymentError, match=r"stem\.0: asked float32, not found"):
        check_executed(executed, Policy(), layers, CAPABILITIES)


def test_a_kernel_that_the_target_lacks_is_refused(digits, digits_model):
    layers = list_layers(digits_model, digits.example_inputs())
    four = LayerPolicy(weight=WeightFormat(4), activation=ActivationFormat(8, "static"))

    with pytest.raises(DeploymentError, match="head: the target has no kernel"):
        check_executed(
            dict.fromkeys((x.name for x in layers), "float32"),
            Policy(layers={"head": four}),
            layers,
            CAPABILITIES,
        )


def test_an_artifact_that_runs_otherwise_makes_its_trial_infeasible(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(quantization, "_guard_float_layers", lambda graph, chosen: None)
    with Evaluator(digits, find_target("local-cpu"), tmp_path) as evaluator:
        names = [layer.name for layer in evaluator.inventory(None).layers]
        policy = Policy(layers={name: INT8 for name in names if name != "stage1.0.conv1"})

        outcome, path = evaluator.evaluate(policy)

    assert outcome.status == "infeasible"
    assert outcome.reason == "does not run as the policy says: stage1.0.conv1: asked float32, runs as int8"
    assert path is None
    assert outcome.executed_as["stage1.0.conv1"] == "int8"
