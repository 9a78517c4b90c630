"""Rounding with gradients, against the definition and against the published gradient."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compression.qat.fake_quantize import HASTE, PACE, Bias, FakeQuantizer, StepSize
from compression.quantization.numerics import quantize_values


def quantizer(step, zero, low, high, *, is_learned=False, axis=None, is_weight=True):
    size = StepSize(torch.as_tensor(step, dtype=torch.float32), is_learned=is_learned)
    return FakeQuantizer(size, torch.as_tensor(zero), low, high, axis=axis, is_weight=is_weight)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=20),
    st.sampled_from([0.1, 0.25, 1 / 15, 3.0]),
    st.integers(2, 8),
    st.integers(0, 3),
)
def test_values_round_as_the_quantizer_rounds_them(values, step, bits, zero):
    values, step = np.array(values, np.float32), np.float32(step)
    limits = 0, 2**bits - 1
    integers = quantize_values(values, step, zero, limits)
    made = quantizer(step, zero, *limits)

    assert (made.integers(torch.from_numpy(values)).numpy() == integers).all()
    assert (made(torch.from_numpy(values)).numpy() == (integers - zero).astype(np.float32) * step).all()


def test_each_channel_has_its_own_step_and_zero_point():
    values = torch.tensor([[0.4, 0.6], [0.4, 7.0]])
    made = quantizer([0.5, 2.0], [0, 1], -2, 3, axis=0)

    assert made(values).tolist() == [[0.5, 0.5], [0.0, 4.0]]


def test_gradients_of_values_pass_inside_the_range_alone():
    values = torch.tensor([-9.0, -0.3, 0.0, 0.74, 3.7, 50.0], requires_grad=True)

    quantizer(0.5, 1, 0, 7)(values).sum().backward()

    assert values.grad.tolist() == [0, 1, 1, 1, 0, 0]


def test_the_step_gets_the_gradient_of_learned_step_size_quantization():
    """Esser et al. 2020, eq. 3 and 2.2: round(v/s) - v/s inside, the end of the range outside; scaled."""
    step, low, high = 0.5, -3, 3
    values = torch.tensor([-9.0, -0.3, 0.2, 0.74, 50.0])
    upstream = torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0])
    made = quantizer(step, 0, low, high, is_learned=True)
    ratio = values / step
    by_value = torch.where(
        ratio <= low, float(low), torch.where(ratio >= high, float(high), ratio.round() - ratio)
    )
    expected = (upstream * by_value).sum() / math.sqrt(len(values) * high)

    scaled = torch.tensor(step, requires_grad=True)
    (made.rounded(values, scaled) * upstream).sum().backward()
    (made(values) * upstream).sum().backward()

    assert scaled.grad.item() == pytest.approx(expected.item(), rel=1e-6)
    # The parameter p of step = initial x exp(PACE p): the hook makes an SGD step on p move the step by HASTE
    # times what an SGD step on the step itself would.
    moved = step * PACE * made.step.log_change.grad.item()
    assert moved == pytest.approx(HASTE * expected.item(), rel=1e-5)


def test_the_gradient_of_a_channels_step_counts_its_own_values():
    values = torch.tensor([[0.2, 0.9, 0.3], [30.0, 0.1, 0.1]])
    steps = torch.tensor([0.5, 1.0], requires_grad=True)
    made = quantizer([0.5, 1.0], [0, 0], -7, 7, axis=0, is_learned=True)

    made.rounded(values, steps).sum().backward()

    ratio = values / steps.detach()[:, None]
    by_value = torch.where(ratio >= 7, 7.0, ratio.round() - ratio)
    assert torch.allclose(steps.grad, by_value.sum(1) / math.sqrt(3 * 7))


def test_activations_are_counted_by_example():
    values = torch.rand(8, 5)
    made = quantizer(0.1, 0, 0, 15, is_learned=True, is_weight=False)

    assert made._gradient_scale(values) == pytest.approx(1 / math.sqrt(5 * 15))
    assert made._gradient_scale(values.repeat(3, 1)) == made._gradient_scale(values)


def test_a_learned_step_starts_where_it_was_and_stays_positive():
    size = StepSize(torch.tensor([0.5, 2.0]), is_learned=True)

    assert size().tolist() == [0.5, 2.0]
    with torch.no_grad():
        size.log_change.fill_(-1.0)
    assert (size() > 0).all()


def test_a_bias_lies_on_the_product_of_two_steps():
    inputs, weights = (StepSize(torch.tensor(step), is_learned=True) for step in (0.5, [0.1, 0.25]))
    bias = torch.tensor([0.126, -1.0], requires_grad=True)
    made = Bias(inputs, weights)

    rounded = made(bias)
    rounded.sum().backward()

    assert made.integers(bias).tolist() == [3, -8]
    assert torch.allclose(rounded, torch.tensor([0.15, -1.0]))
    assert bias.grad.tolist() == [1, 1]
    assert made.integers(torch.tensor([1e20, -1e20])).tolist() == [2**31 - 1, -(2**31)]
