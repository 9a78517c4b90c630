import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import (
    ActivationFormat,
    Capabilities,
    InvalidTarget,
    Kernel,
    LayerPolicy,
    Prune,
    WeightFormat,
)
from tests.strategies import OPS, PROPERTY, capabilities, kernels, layer_policies

CPU = Capabilities(
    (
        Kernel("conv", 8, 8, "static", "int8"),
        Kernel("linear", 8, 8, "dynamic", "int8-dynamic"),
        Kernel("*", 4, 32, "none", "int4-weight"),
    )
)
STATIC = ActivationFormat(8, "static")
DYNAMIC = ActivationFormat(8, "dynamic")


@pytest.mark.parametrize(
    ("op", "layer", "name"),
    [
        ("conv", LayerPolicy(), "float32"),
        ("conv", LayerPolicy(Prune(0.5)), "float32"),
        ("conv", LayerPolicy(weight=WeightFormat(32), activation=ActivationFormat(32)), "float32"),
        ("conv", LayerPolicy(weight=WeightFormat(8), activation=STATIC), "int8"),
        ("conv", LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC), None),
        ("linear", LayerPolicy(weight=WeightFormat(8), activation=DYNAMIC), "int8-dynamic"),
        ("linear", LayerPolicy(weight=WeightFormat(8), activation=STATIC), None),
        ("linear", LayerPolicy(weight=WeightFormat(4)), "int4-weight"),
        ("anything", LayerPolicy(weight=WeightFormat(4), activation=ActivationFormat(32)), "int4-weight"),
        ("conv", LayerPolicy(activation=STATIC), None),
        ("conv", LayerPolicy(weight=WeightFormat(16)), None),
    ],
)
def test_a_layer_is_executed_by_the_kernel_of_its_bits_or_not_at_all(op, layer, name):
    assert CPU.executed_as(op, layer) == name


@PROPERTY
@given(capabilities, st.sampled_from(OPS), layer_policies)
def test_the_kernel_is_the_first_that_fits(target, op, layer):
    weight = layer.weight.bits if layer.weight else 32
    bits, mode = (layer.activation.bits, layer.activation.mode) if layer.activation else (32, "none")
    fitting = [
        kernel.executed_as
        for kernel in target.kernels
        if kernel.op in (op, "*")
        and (kernel.weight_bits, kernel.activation_bits, kernel.mode) == (weight, bits, mode)
    ]
    expected = "float32" if weight == bits == 32 else next(iter(fitting), None)

    assert target.executed_as(op, layer) == expected


@PROPERTY
@given(capabilities, layer_policies)
def test_what_runs_somewhere_runs_for_some_operator(target, layer):
    weight, activation = layer.weight or WeightFormat(32), layer.activation or ActivationFormat(32)

    somewhere = any(target.kernel_for(op, weight, activation) for op in OPS)

    assert target.runs_somewhere(weight, activation) == somewhere


@PROPERTY
@given(kernels)
def test_json_brings_a_kernel_back(kernel):
    assert Kernel.from_dict(kernel.to_dict()) == kernel


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("op", 1),
        ("weight_bits", 9),
        ("activation_bits", "8"),
        ("mode", "none"),
        ("mode", "x"),
        ("executed_as", None),
        ("speed", 2),
    ],
)
def test_a_wrong_kernel_is_a_fault_of_its_target(field, value):
    document = CPU.kernels[0].to_dict() | {field: value}

    with pytest.raises(InvalidTarget) as caught:
        Kernel.from_dict(document, "/kernels/3")

    assert caught.value.faults[0].pointer == f"/kernels/3/{field}"


def test_channels_come_in_ones_at_least():
    with pytest.raises(InvalidTarget, match="/channel_multiple"):
        Capabilities((), 0)


def test_kernels_are_described_in_words():
    assert Capabilities(()).describe() == "32-bit floating point only"
    assert CPU.describe() == (
        "8-bit weights with 8-bit static activations (conv), "
        "8-bit weights with 8-bit dynamic activations (linear), "
        "4-bit weights with 32-bit none activations (any operator)"
    )
