"""What runs is what the policy says, under the session options that a user has."""

import random

import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compression import Deployment, compress, export_float, list_layers
from compression.quantization import apply, quantize, weights
from compression.quantization.apply import layer_ops
from evaluators.evaluator import Evaluator
from evaluators.executed import check_executed, read_executed
from evaluators.targets import find_target
from spaces import ActivationFormat, Capabilities, DeploymentError, Kernel, LayerPolicy, Policy, WeightFormat
from tests.models import MODELS, Around
from tests.networks_q import Tokens

INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
MIXTURE = (
    LayerPolicy(weight=WeightFormat(8)),
    LayerPolicy(weight=WeightFormat(4)),
    LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "dynamic")),
    LayerPolicy(weight=WeightFormat(4), activation=ActivationFormat(4, "static")),
)
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
        unguarded.setattr(apply, "guard_float_layers", lambda graph, channels: None)
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
        unguarded.setattr(apply, "guard_float_layers", lambda graph, channels: None)
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


def run_as(made, layers, path):
    workload, source = made
    quantize(source, path, workload, Policy(layers=layers), reduce_range=True)
    return read_executed(path)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """A workload with embeddings and recurrent layers, its layers by operator, and its float file."""
    workload = Tokens()
    path = tmp_path_factory.mktemp("sequences") / "float.onnx"
    export_float(workload.model(), workload, path)
    return (workload, path), layer_ops(onnx.load(path).graph)


KERNELS = [
    (kernel, grain)
    for kernel in CAPABILITIES.kernels
    for grain in ("channel", "tensor", 16)
    if isinstance(grain, str) or (kernel.mode == "none" and kernel.op != "embedding")
]


@pytest.mark.parametrize(("kernel", "grain"), KERNELS, ids=str)
def test_every_kernel_that_the_target_declares_really_runs(sequences, tmp_path, kernel, grain):
    made, ops = sequences
    is_group = not isinstance(grain, str)
    weight = WeightFormat(kernel.weight_bits, "group" if is_group else grain, grain if is_group else None)
    layer = LayerPolicy(weight=weight, activation=ActivationFormat(kernel.activation_bits, kernel.mode))
    chosen = [name for name, op in ops.items() if op == kernel.op]

    executed = run_as(made, dict.fromkeys(chosen, layer), tmp_path / "x.onnx")

    assert chosen
    assert executed == {name: kernel.executed_as if name in chosen else "float32" for name in ops}


def test_kernels_of_all_kinds_run_side_by_side(sequences, tmp_path):
    made, ops = sequences
    layers = {
        "words": LayerPolicy(weight=WeightFormat(8)),
        "places": LayerPolicy(weight=WeightFormat(8, "tensor")),
        "project": LayerPolicy(weight=WeightFormat(4)),
        "lstm": LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "dynamic")),
        "gru": LayerPolicy(weight=WeightFormat(8)),
        "conv": INT8,
        "depthwise": LayerPolicy(weight=WeightFormat(5), activation=ActivationFormat(8, "static")),
    }

    executed = run_as(made, layers, tmp_path / "x.onnx")

    assert executed == {
        "words": "int8-weight", "places": "int8-weight", "project": "int4-weight", "lstm": "int8-dynamic",
        "gru": "int8-weight", "conv": "int8", "depthwise": "simulated", "grouped": "float32", "out": "float32",
    }  # fmt: skip
    assert set(executed) == set(ops)


@pytest.mark.parametrize("make", MODELS)
def test_any_mixture_of_formats_is_honoured_on_any_architecture(digits, make, tmp_path):
    workload = Around(digits, make, epochs=1)
    model = workload.model()
    export_float(model, workload, tmp_path / "float.onnx")
    layers = list_layers(model, workload.example_inputs())
    draw = random.Random(1)
    formats = [LayerPolicy(), INT8, *MIXTURE]
    for _ in range(8):
        policy = Policy(layers={layer.name: draw.choice(formats) for layer in layers})
        executed = run_as((workload, tmp_path / "float.onnx"), policy.layers, tmp_path / "x.onnx")
        for layer in layers:
            asked = CAPABILITIES.executed_as(layer.op, policy.layers.get(layer.name, LayerPolicy()))
            assert executed[layer.name] == (asked or "simulated"), (layer, policy)


def test_the_runtime_rounds_activations_behind_our_back_unless_a_reshape_stands_between(
    sequences, tmp_path, monkeypatch
):
    """If the first half fails, the runtime has mended its ways and the reshape can go."""
    made, _ = sequences
    alone = {"project": LayerPolicy(weight=WeightFormat(8))}
    whole = weights._dequantized

    with monkeypatch.context() as plain:
        plain.setattr(
            weights,
            "_dequantized",
            lambda *arguments, behind_reshape=False: whole(*arguments, behind_reshape=False),
        )
        trapped = run_as(made, alone, tmp_path / "trapped.onnx")
    guarded = run_as(made, alone, tmp_path / "guarded.onnx")

    assert trapped["project"] == "int8-dynamic"
    assert guarded["project"] == "int8-weight"


def test_only_the_files_own_word_makes_a_layer_simulated(digits, digits_model, tmp_path):
    export_float(digits_model, digits, tmp_path / "float.onnx")
    four = {"head": LayerPolicy(weight=WeightFormat(4), activation=ActivationFormat(4, "static"))}

    said = run_as((digits, tmp_path / "float.onnx"), four, tmp_path / "x.onnx")
    model = onnx.load(tmp_path / "x.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "x.onnx")
    unsaid = read_executed(tmp_path / "x.onnx")

    assert said["head"] == "simulated"
    assert unsaid["head"] == "int8-weight"
    assert {layer: kernel for layer, kernel in said.items() if layer != "head"} == {
        layer: kernel for layer, kernel in unsaid.items() if layer != "head"
    }


def test_a_simulated_layer_is_refused_where_the_target_has_to_run_it(digits, digits_model):
    layers = list_layers(digits_model, digits.example_inputs())
    executed = {layer.name: "float32" for layer in layers} | {"head": "simulated"}
    four = Policy(
        layers={"head": LayerPolicy(weight=WeightFormat(4), activation=ActivationFormat(8, "static"))}
    )

    with pytest.raises(DeploymentError, match="head: the target has no kernel"):
        check_executed(executed, four, layers, CAPABILITIES)
    simulating = Capabilities((Kernel("linear", 4, 8, "static", "simulated"),))
    check_executed(executed, four, layers, simulating)


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
    monkeypatch.setattr(apply, "guard_float_layers", lambda graph, channels: None)
    with Evaluator(digits, find_target("local-cpu"), tmp_path) as evaluator:
        names = [layer.name for layer in evaluator.inventory(None).layers]
        policy = Policy(layers={name: INT8 for name in names if name != "stage1.0.conv1"})

        outcome, path = evaluator.evaluate(policy)

    assert outcome.status == "infeasible"
    assert outcome.reason == "does not run as the policy says: stage1.0.conv1: asked float32, runs as int8"
    assert path is None
    assert outcome.executed_as["stage1.0.conv1"] == "int8"
