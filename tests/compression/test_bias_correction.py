"""The mean error of quantization goes into biases, layer by layer."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper

from compression.bias_correction import correct_bias
from compression.graph import WEIGHT_OPS, layer_of
from compression.quantization import LAYERS_KEY
from evaluators.executed import read_executed
from spaces import ActivationFormat, WeightFormat, WorkloadError
from tests.compression.qat.artifacts import accuracy, examples, exported, run
from tests.models import Around, Attention, Depthwise, Flattening, Mlp
from tests.networks_t import Separable

STATIC, ALONE, DYNAMIC = ActivationFormat(8, "static"), ActivationFormat(32), ActivationFormat(8, "dynamic")


def outputs_by_layer(path, names, inputs, directory):
    """The layers' outputs before any activation function, unoptimized."""
    model = onnx.load(path)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    onnx.save(model, directory / "probe.onnx")
    return run(directory / "probe.onnx", inputs, "ORT_DISABLE_ALL")


def mean_errors(whole, quantized, inputs, directory):
    """Root mean square over channels of the mean error at each layer's output, by layer."""
    calls = {node.name: node for node in onnx.load(whole).graph.node if layer_of(node.name)}
    named = {node.name: node for node in onnx.load(quantized).graph.node if node.op_type in WEIGHT_OPS}
    ends = {name: named.get(name, node) for name, node in calls.items()}
    left = outputs_by_layer(whole, [node.output[0] for node in calls.values()], inputs, directory)
    right = outputs_by_layer(quantized, [node.output[0] for node in ends.values()], inputs, directory)
    errors = {}
    for name, a, b in zip(calls, left, right, strict=True):
        axes = (0, *range(2, a.ndim)) if calls[name].op_type == "Conv" else tuple(range(a.ndim - 1))
        errors[name] = float(np.sqrt(((a - b).mean(axis=axes) ** 2).mean()))
    return errors


@pytest.mark.parametrize("bits", [3, 4])
@pytest.mark.parametrize("activation", [STATIC, ActivationFormat(5, "static"), ALONE, DYNAMIC], ids=str)
@pytest.mark.parametrize("make", [Flattening, Depthwise], ids=lambda make: make.__name__)
def test_the_mean_error_of_every_layer_falls(digits, tmp_path, make, activation, bits):
    workload = Around(digits, make)
    model = workload.model()
    whole, quantized = exported(
        workload, model, tmp_path, weight=WeightFormat(bits, "tensor"), activation=activation
    )
    inputs = examples(workload, "calibration", 256)[0]
    before = mean_errors(whole, quantized, inputs, tmp_path)

    correct_bias(whole, quantized, workload)

    after = mean_errors(whole, quantized, inputs, tmp_path)
    assert all(after[layer] < before[layer] for layer in before)
    assert sum(after.values()) < 0.3 * sum(before.values())


def test_unseen_images_are_nearer_to_the_float_models(digits, digits_model, tmp_path):
    whole, quantized = exported(digits, digits_model, tmp_path, weight=WeightFormat(4))
    inputs = examples(digits, "test", 540)[0]
    expected = run(whole, inputs)[0]
    before = np.abs(run(quantized, inputs)[0] - expected).mean()

    correct_bias(whole, quantized, digits)

    assert np.abs(run(quantized, inputs)[0] - expected).mean() < 0.6 * before


def test_a_depthwise_network_is_more_accurate_for_it(digits, tmp_path):
    workload = Around(digits, Separable, epochs=8)
    whole, quantized = exported(workload, workload.model(), tmp_path, weight=WeightFormat(3))
    before = accuracy(workload, quantized)

    correct_bias(whole, quantized, workload)

    assert accuracy(workload, quantized) > before + 0.02


def test_the_artifact_stays_int8_and_only_biases_change(digits, digits_model, tmp_path):
    whole, quantized = exported(digits, digits_model, tmp_path, weight=WeightFormat(8))
    before = onnx.load(quantized)

    correct_bias(whole, quantized, digits)

    after = onnx.load(quantized)
    onnx.checker.check_model(after)
    assert set(read_executed(quantized).values()) == {"int8"}
    assert before.graph.node == after.graph.node
    changed = [
        a.name for a, b in zip(before.graph.initializer, after.graph.initializer, strict=True) if a != b
    ]
    assert len(changed) == 11
    assert all("bias" in name and name.endswith("_quantized") for name in changed)


def test_biases_that_are_added_behind_a_product_are_corrected(digits, tmp_path):
    workload = Around(digits, Attention)
    whole, quantized = exported(workload, workload.model(), tmp_path, weight=WeightFormat(3))
    names = {item.name for item in onnx.load(quantized).graph.initializer}
    before = {item.name: item for item in onnx.load(quantized).graph.initializer}

    correct_bias(whole, quantized, workload)

    after = {item.name: item for item in onnx.load(quantized).graph.initializer}
    assert {name for name in names if before[name] != after[name]} >= {"embed.bias", "mix.bias", "up.bias"}


def test_float_layers_keep_their_biases(digits, tmp_path):
    workload = Around(digits, Mlp)
    whole, quantized = exported(
        workload, workload.model(), tmp_path, weight=WeightFormat(3), layers=["first"]
    )
    before = {item.name: item for item in onnx.load(quantized).graph.initializer}
    assert list(json.loads(onnx.load(quantized).metadata_props[0].value)) == ["first"]
    assert onnx.load(quantized).metadata_props[0].key == LAYERS_KEY

    correct_bias(whole, quantized, workload)

    after = {item.name: item for item in onnx.load(quantized).graph.initializer}
    assert [name for name in before if before[name] != after[name]] == ["first.bias_quantized"]


def test_correction_is_deterministic_and_an_empty_split_is_the_workloads_fault(digits, tmp_path):
    workload = Around(digits, Mlp)
    model = workload.model()
    files = []
    for _ in range(2):
        whole, quantized = exported(workload, model, tmp_path, weight=WeightFormat(3))
        correct_bias(whole, quantized, workload)
        biases = {i.name: i for i in onnx.load(quantized).graph.initializer if "bias" in i.name}
        files.append(biases)
    assert files[0] == files[1]

    workload.batches = lambda *args, **more: iter(())
    with pytest.raises(WorkloadError, match="the calibration split is empty; bias correction needs examples"):
        correct_bias(whole, quantized, workload)
