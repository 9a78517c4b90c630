import numpy as np
import pytest
import torch

from compression import Deployment, deploy, export_float, list_layers, shape
from evaluators.modelled.graph_costs import read_costs
from spaces import ActivationFormat, DeploymentError, LayerPolicy, Policy, Prune, WeightFormat
from tests.models import Around, Depthwise

FEED = {"input": np.zeros((1, 1, 8, 8), dtype=np.float32)}
INT8 = {"weight": WeightFormat(8), "activation": ActivationFormat(8, "static")}
INT4 = {"weight": WeightFormat(4), "activation": ActivationFormat(4, "static")}


@pytest.fixture(scope="module")
def layers(digits, digits_model):
    return list_layers(digits_model, digits.example_inputs())


@pytest.fixture(scope="module")
def costs_of(digits, digits_model, layers, tmp_path_factory):
    """Costs of the built-in network with the same policy for all layers, by layer, and of all kernels."""

    def read(feed=FEED, patterns=(), **policy):
        path = tmp_path_factory.mktemp("costs") / "artifact.onnx"
        # a pattern of four does not fit the stem's rows of nine weights
        places = [
            layer.name for layer in layers if policy and ("prune" not in policy or layer.name != "stem.0")
        ]
        chosen = Policy(layers={name: LayerPolicy(**policy) for name in places})
        shaped = shape(digits, digits_model, chosen, deployment=Deployment(), seed=0)
        deploy(shaped.model, digits, chosen, path, deployment=Deployment())
        kernels = read_costs(path, feed, patterns)
        return {cost.name: cost for cost in kernels}, kernels

    return read


def test_every_layer_is_one_kernel_with_the_multiplications_that_torch_counts(costs_of, layers):
    by_name, kernels = costs_of()

    names = [cost.name for cost in kernels if cost.macs]
    assert sorted(names) == sorted(layer.name for layer in layers)
    assert {layer.name: by_name[layer.name].macs for layer in layers} == {
        layer.name: layer.macs for layer in layers
    }
    assert {by_name[layer.name].weight_bits for layer in layers} == {32}


def test_integer_layers_multiply_as_much_and_weigh_a_quarter(costs_of, layers):
    before, _ = costs_of()
    after, kernels = costs_of(**INT8)

    for layer in layers:
        assert after[layer.name].macs == before[layer.name].macs
        assert after[layer.name].weight_bytes == pytest.approx(before[layer.name].weight_bytes / 4, rel=0.01)
        assert (after[layer.name].weight_bits, after[layer.name].activation_bits) == (8, 8)
    # activations and their rounding lie inside the integer kernels; what remains is around the float mean, and at
    # both ends
    assert sum(cost.op == "quantize" for cost in kernels) == 4


def test_a_simulated_format_costs_what_its_bits_would_and_its_rounding_nothing(costs_of, layers):
    float_costs, _ = costs_of()
    simulated, kernels = costs_of(**INT4)

    inner = simulated["stage1.0.conv1"]
    assert (inner.weight_bits, inner.activation_bits) == (4, 4)
    assert inner.weight_bytes == pytest.approx(float_costs["stage1.0.conv1"].weight_bytes / 8, rel=0.01)
    assert inner.moved_bytes == pytest.approx(float_costs["stage1.0.conv1"].moved_bytes / 8)
    owned = [cost.name for cost in kernels if "@" in cost.name and not cost.macs]
    assert owned == []


def test_the_feeds_batch_is_the_costs(costs_of):
    one, _ = costs_of()
    eight, _ = costs_of(feed={"input": np.zeros((8, 1, 8, 8), dtype=np.float32)})

    assert eight["head"].macs == 8 * one["head"].macs
    assert eight["head"].weight_bytes == one["head"].weight_bytes


def test_kinds_of_convolutions_are_told_apart(digits, tmp_path):
    path = tmp_path / "depthwise.onnx"
    torch.manual_seed(0)
    export_float(Depthwise().eval(), Around(digits, Depthwise, epochs=0), path)

    ops = {cost.name: cost.op for cost in read_costs(path, FEED)}

    assert ops["stem.0"] == "conv"
    assert ops["expand.0"] == "pointwise-conv"
    assert ops["depthwise.0"] == "depthwise-conv"


@pytest.mark.parametrize("form", [{}, INT8], ids=["float", "int8"])
def test_a_pattern_of_zeros_is_found_where_it_was_pruned_and_nowhere_else(costs_of, form):
    dense, _ = costs_of(patterns=("2:4",), **form)
    sparse, _ = costs_of(patterns=("2:4", "4:8", "1:4"), prune=Prune(0.5, "2:4"), **form)

    assert dense["stage1.0.conv1"].patterns == ()
    assert sparse["stage1.0.conv1"].patterns == ("2:4", "4:8")
    assert sparse["stage1.0.conv1"].density == pytest.approx(0.5, abs=0.05)
    assert sparse["head"].patterns == ("2:4", "4:8")


def test_a_file_that_is_no_model_and_inputs_that_do_not_fit_are_refused(digits, digits_model, tmp_path):
    path = tmp_path / "artifact.onnx"
    export_float(digits_model, digits, path)

    with pytest.raises(DeploymentError, match="fails on the example inputs"):
        read_costs(path, {"input": np.zeros((1, 3, 8, 8), dtype=np.float32)})
