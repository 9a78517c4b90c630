"""Balancing ranges across layers keeps the function, and is what coarse formats of depthwise networks need."""

import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compression import export_float
from compression.equalization import equalize
from compression.quantization import quantize
from spaces import ActivationFormat, LayerPolicy, Policy, WeightFormat
from tests.compression.qat.artifacts import accuracy, examples, run, weight_layers
from tests.models import MODELS, Around, Depthwise, Flattening, Mlp, Tied
from tests.networks_t import Bounded, Separable, unbalance


def equalized(workload, model, directory):
    before, after = directory / "float.onnx", directory / "equalized.onnx"
    export_float(model, workload, before)
    shutil.copy(before, after)
    return before, after, equalize(after)


def weights_of(path):
    graph = onnx.load(path).graph
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    return {node.name: stored[node.input[1]] for node in graph.node if node.op_type in {"Conv", "Gemm"}}


@pytest.fixture(scope="module")
def separable(digits):
    workload = Around(digits, Separable, epochs=8)
    return workload, unbalance(workload.model())


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_every_network_stays_the_function_that_it_is(digits, tmp_path, make):
    workload = Around(digits, make, epochs=1)
    before, after, _ = equalized(workload, workload.model(), tmp_path)
    inputs = examples(digits)[0]

    for left, right in zip(run(before, inputs), run(after, inputs), strict=True):
        assert np.abs(left - right).max() < 1e-4


def test_ranges_of_outputs_and_of_inputs_behind_become_equal(separable, tmp_path):
    before, after, count = equalized(*separable, tmp_path)

    assert count == 5  # four between the blocks, one across the mean
    left, right = ([*weights_of(path).values()] for path in (before, after))
    spreads = []
    for weights in (left, right):
        first = np.abs(weights[0]).max(axis=(1, 2, 3))
        spreads.append(first.max() / first.min())
    assert spreads[1] < spreads[0] / 3
    outputs = np.abs(right[1]).max(axis=(1, 2, 3))  # depthwise
    inputs = np.abs(right[2]).max(axis=(0, 2, 3))
    assert np.allclose(outputs, inputs, rtol=1e-2)


def test_an_unbalanced_depthwise_network_survives_eight_bits_by_tensor(separable, tmp_path):
    workload, model = separable
    before, after, _ = equalized(workload, model, tmp_path)
    form = LayerPolicy(weight=WeightFormat(8, "tensor"), activation=ActivationFormat(8, "static"))
    policy = Policy(layers=dict.fromkeys(weight_layers(model), form))

    def quantized(source):
        quantize(source, tmp_path / "q.onnx", workload, policy, reduce_range=False)
        return accuracy(workload, tmp_path / "q.onnx")

    whole = accuracy(workload, before)
    assert quantized(before) < whole - 0.5
    assert quantized(after) > whole - 0.02


def test_flattened_positions_are_scaled_with_their_channel(digits, tmp_path):
    workload = Around(digits, Flattening, epochs=1)
    before, after, count = equalized(workload, workload.model(), tmp_path)

    assert count == 3
    left, right = (weights_of(path)["@last_one@0"] for path in (before, after))
    ratio = (right / left).reshape(32, 32, 16)[0]
    assert np.allclose(ratio, ratio[:, :1], rtol=1e-4)


def test_linear_layers_are_equalized_too(digits, tmp_path):
    workload = Around(digits, Mlp, epochs=1)

    assert equalized(workload, workload.model(), tmp_path)[2] == 2


def test_bounded_channels_are_scaled_only_where_the_bound_is_never_reached(digits, tmp_path):
    import torch

    class Made(Bounded):
        def __init__(self):
            torch.manual_seed(0)
            super().__init__()

    workload = Around(digits, Made, epochs=0)
    before, after, count = equalized(workload, workload.model(), tmp_path)

    left, right = (weights_of(path) for path in (before, after))
    assert count >= 1
    changed = (left["@second@0"] != right["@second@0"]).any(axis=(1, 2, 3))
    assert changed[:4].any()
    assert not changed[4:].any()
    assert (left["@first@0"] == right["@first@0"]).all()  # nothing bounds what an image holds
    inputs = examples(digits)[0]
    large = tuple(50 * value for value in inputs)
    for given in (inputs, large, tuple(-value for value in large)):
        assert np.abs(run(before, given)[0] - run(after, given)[0]).max() < 1e-4


@pytest.mark.parametrize("make", [Tied, Depthwise], ids=lambda make: make.__name__)
def test_shared_weights_and_outputs_with_several_readers_stay(digits, tmp_path, make):
    workload = Around(digits, make, epochs=1)
    before, after, _ = equalized(workload, workload.model(), tmp_path)

    left, right = weights_of(before), weights_of(after)
    kept = {"Tied": ("@body@0", "@tied@0"), "Depthwise": ("@stem.0@0", "@out@0")}[make.__name__]
    assert all((left[name] == right[name]).all() for name in kept)


def by_bias(before, after, name):
    left, right = (
        {item.name: numpy_helper.to_array(item) for item in onnx.load(path).graph.initializer}[name]
        for path in (before, after)
    )
    return left / right


def test_channels_without_weights_stay(digits, tmp_path):
    import torch

    workload = Around(digits, Mlp, epochs=1)
    model = workload.model()
    with torch.no_grad():
        model.first.weight[3], model.second.weight[:, 5] = 0, 0
    before, after, _ = equalized(workload, model, tmp_path)

    left, right = weights_of(before), weights_of(after)
    assert all(np.isfinite(weight).all() for weight in right.values())
    assert (right["@first@0"][3] == 0).all()
    assert (left["@first@0"][5] == right["@first@0"][5]).all()
    by_row = left["@second@0"] / np.where(right["@second@0"] == 0, 1, right["@second@0"])
    assert np.allclose(by_row[:, 3], by_bias(before, after, "second.bias"), rtol=1e-4)


def test_a_balanced_file_is_not_written_again(digits, tmp_path):
    workload = Around(digits, Mlp, epochs=1)
    _, after, _ = equalized(workload, workload.model(), tmp_path)
    written = after.stat().st_mtime_ns, after.read_bytes()

    assert equalize(after) == 0
    assert (after.stat().st_mtime_ns, after.read_bytes()) == written
    assert sorted(path.name for path in tmp_path.iterdir()) == ["equalized.onnx", "float.onnx"]
