"""Integer arithmetic against brute force and its own laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from compression.quantization.numerics import (
    activation_parameters,
    quantize_rows,
    quantize_values,
    weight_limits,
)
from spaces import WeightFormat
from tests.strategies import PROPERTY

rows = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
    elements=st.floats(-8, 8, width=32).map(lambda value: 0.0 if abs(value) < 1e-3 else value),
)
bits = st.integers(2, 8)
forms = st.builds(
    lambda bits, kind, symmetric: WeightFormat(bits, *kind, symmetric=symmetric),
    bits,
    st.sampled_from([("tensor", None), ("channel", None), ("group", 1), ("group", 3), ("group", 16)]),
    st.booleans(),
)


def error(weights, form):
    return float(((quantize_rows(weights, form).dequantize() - weights) ** 2).sum())


def test_a_greatest_value_of_3_4_has_a_scale_of_3_4_over_127():
    quantized = quantize_rows(np.array([[3.4, 1.6, -0.2, 0]], np.float32), WeightFormat(8))

    assert quantized.scale[0] == pytest.approx(3.4 / 127)
    assert quantized.integers.tolist() == [[127, 60, -7, 0]]


def test_halves_round_to_even():
    assert quantize_values(np.array([0.5, 1.5, 2.5, -0.5]), 1.0, 0, (-9, 9)).tolist() == [0, 2, 2, 0]


@pytest.mark.parametrize(
    ("count", "symmetric", "reduced", "limits"),
    [
        (8, True, False, (-127, 127)),
        (8, False, False, (-128, 127)),
        (8, True, True, (-64, 64)),
        (7, True, True, (-63, 63)),
        (4, True, False, (-7, 7)),
        (2, True, False, (-1, 1)),
        (2, False, False, (-2, 1)),
    ],
)
def test_integers_keep_within_their_bits(count, symmetric, reduced, limits):
    assert weight_limits(count, symmetric=symmetric, reduce_range=reduced) == limits


@PROPERTY
@given(rows, forms)
def test_what_comes_back_is_off_by_half_a_step_at_most(weights, form):
    quantized = quantize_rows(weights, form)
    step = np.broadcast_to(quantized.spread(quantized.scale), weights.shape)

    assert (np.abs(quantized.dequantize() - weights) <= step * 0.5001).all()


@PROPERTY
@given(rows, forms)
def test_integers_are_the_nearest_that_brute_force_finds(weights, form):
    quantized = quantize_rows(weights, form)
    low, high = weight_limits(form.bits, symmetric=form.symmetric)
    codes = np.arange(low, high + 1, dtype=np.float32)
    scale = np.broadcast_to(quantized.spread(quantized.scale), weights.shape)[..., None]
    zero = np.broadcast_to(quantized.spread(quantized.zero_point), weights.shape)[..., None]

    best = np.abs((codes - zero) * scale - weights[..., None]).min(axis=-1)

    assert np.allclose(np.abs(quantized.dequantize() - weights), best, atol=1e-5)
    assert quantized.integers.min() >= low
    assert quantized.integers.max() <= high


@PROPERTY
@given(rows, forms)
def test_zero_stays_zero(weights, form):
    weights[0, 0] = 0

    assert quantize_rows(weights, form).dequantize()[0, 0] == 0
    assert (quantize_rows(np.zeros_like(weights), form).dequantize() == 0).all()


@PROPERTY
@given(rows, st.booleans())
def test_finer_scales_bound_the_error_more_tightly(weights, symmetric):
    """The bound, not the error of each draw: rounding may be lucky with a coarser step."""
    steps = {
        name: quantize_rows(weights, WeightFormat(4, name, size, symmetric=symmetric))
        for name, size in (("tensor", None), ("channel", None), ("group", 2))
    }
    spread = {
        name: np.broadcast_to(found.spread(np.where(found.scale == 1, 0, found.scale)), weights.shape)
        for name, found in steps.items()
    }

    assert (spread["channel"] <= spread["tensor"] * 1.0001 + (spread["tensor"] == 0)).all()
    assert (spread["group"] <= spread["channel"] * 1.0001 + (spread["channel"] == 0)).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_trained_weights_lose_less_with_more_bits_and_with_finer_scales(digits_model, symmetric):
    for layer in (digits_model.stem[0], digits_model.stage2[0].conv1, digits_model.head):
        weights = layer.weight.detach().flatten(1).numpy()
        by_bits = [error(weights, WeightFormat(count, symmetric=symmetric)) for count in range(2, 9)]
        by_grain = [
            error(weights, WeightFormat(4, kind, size, symmetric=symmetric))
            for kind, size in (("tensor", None), ("channel", None), ("group", 4))
        ]

        assert by_bits == sorted(by_bits, reverse=True)
        assert by_grain == sorted(by_grain, reverse=True)


@PROPERTY
@given(st.floats(-100, 100), st.floats(0, 100), bits)
def test_activations_hold_their_range_and_an_exact_zero(low, width, count):
    high = low + width
    scale, zero = activation_parameters(low, high, count)
    values = np.linspace(min(low, 0), max(high, 0), 50)
    codes = quantize_values(values, float(scale), zero, (0, 2**count - 1))

    assert 0 <= zero < 2**count
    assert (np.abs((codes - zero) * float(scale) - values) <= float(scale) * 0.5001).all()
    assert quantize_values(np.zeros(1), float(scale), zero, (0, 2**count - 1))[0] == zero


def test_a_group_that_does_not_fill_up_has_a_scale_of_its_own():
    weights = np.array([[1, 2, 4, 100, 200]], np.float32)

    quantized = quantize_rows(weights, WeightFormat(8, "group", 3))

    assert quantized.scale.tolist() == [pytest.approx([4 / 127, 200 / 127])]
    assert np.allclose(quantized.dequantize(), weights, atol=1)
