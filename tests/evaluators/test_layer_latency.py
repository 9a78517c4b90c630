"""Where the time of a call goes, layer by layer."""

import numpy as np
import pytest

from compression import Deployment, compress, list_layers
from evaluators.layer_latency import example_feed, layer_shares
from evaluators.modelled.graph_costs import read_costs
from evaluators.modelled.roofline import Roofline
from evaluators.targets import find_target
from spaces import ActivationFormat, DeploymentError, LayerPolicy, Policy, WeightFormat

INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))


@pytest.fixture(scope="module")
def layers(digits, digits_model):
    return list_layers(digits_model, digits.example_inputs())


@pytest.fixture(scope="module")
def artifacts(digits, digits_model, layers, tmp_path_factory):
    """The reference in float, and with every layer in 8 bits."""
    directory = tmp_path_factory.mktemp("layer-latency")
    deployment = Deployment(channel_multiple=8, reduce_range=True)
    policies = {"float": Policy(), "int8": Policy(layers={layer.name: INT8 for layer in layers})}
    return {
        name: compress(
            digits, digits_model, policy, directory / f"{name}.onnx", deployment=deployment
        ).artifact.path
        for name, policy in policies.items()
    }


@pytest.mark.parametrize("kind", ["float", "int8"])
@pytest.mark.parametrize("target", ["local-cpu", "raspberry-pi-5"])
def test_every_layer_has_a_share_and_all_of_them_are_less_than_the_call(artifacts, layers, kind, target):
    shares = layer_shares(artifacts[kind], find_target(target))

    assert set(shares) == {layer.name for layer in layers}
    assert min(shares.values()) > 0
    assert 0.3 < sum(shares.values()) < 1


def test_a_profiled_network_spends_most_where_most_is_computed(artifacts, layers):
    shares = layer_shares(artifacts["float"], find_target("local-cpu"))

    costs = sorted(layers, key=lambda layer: layer.macs)
    assert shares[costs[-1].name] > 3 * shares[costs[0].name]


def test_modelled_shares_are_those_of_the_modelled_latency(artifacts):
    target = find_target("raspberry-pi-5")
    roofline = Roofline(target)
    costs = read_costs(artifacts["float"], example_feed(artifacts["float"], target.batch))
    latency_us = roofline.latency_ms(costs) * 1e3

    shares = layer_shares(artifacts["float"], target)

    rest = sum(roofline.kernel_us(time) for time in roofline.times(costs) if time.name not in shares)
    assert np.isclose(sum(shares.values()) * latency_us + rest + roofline.call_us, latency_us)


def test_a_runtime_that_tells_no_times_of_layers_is_refused(artifacts):
    with pytest.raises(DeploymentError, match="openvino tells no times of single layers"):
        layer_shares(artifacts["float"], find_target("local-cpu-openvino"))
