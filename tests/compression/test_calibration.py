"""Ranges of activations against brute force."""

import numpy as np
import onnx
import pytest
import torch

from compression import export_float
from compression.quantization import calibrate
from compression.quantization.calibration import Wanted, clipping
from compression.quantization.numerics import activation_parameters, quantize_values
from spaces import WorkloadError
from tests.models import Around, Mlp

METHODS = ("minmax", "percentile", "entropy", "mse")


def histogram(values, bins=4096):
    most = np.abs(values).max()
    return np.histogram(values, bins=bins, range=(-most, most))[0], (float(values.min()), float(values.max()))


def tail(seed=0, count=50_000):
    """A bell with a few values far out."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=count)
    values[:3] = 40, -35, 38
    return values


def squared(values, limit, bits):
    scale, zero = activation_parameters(max(values.min(), -limit), min(values.max(), limit), bits)
    codes = quantize_values(values, float(scale), zero, (0, 2**bits - 1))
    return float((((codes - zero) * float(scale) - values) ** 2).mean())


def test_least_and_greatest_values_clip_nothing():
    values = tail()
    assert clipping(*histogram(values), "minmax", 8) == 40


def test_the_percentile_covers_all_but_one_in_ten_thousand():
    values = tail()

    limit = clipping(*histogram(values), "percentile", 8)

    assert limit == pytest.approx(np.quantile(np.abs(values), 0.9999), rel=0.05)
    assert (np.abs(values) > limit).mean() <= 1e-4


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_least_squares_is_the_best_of_a_brute_force_search_on_the_values(bits):
    values = tail()

    limit = clipping(*histogram(values), "mse", bits)

    best = min(squared(values, candidate, bits) for candidate in np.linspace(0.4, 40, 100))
    assert squared(values, limit, bits) <= best * 1.02
    assert squared(values, limit, bits) < squared(values, 40, bits)


def test_fewer_bits_clip_more():
    for values in (tail(), np.maximum(tail(), 0)):
        counts, ends = histogram(values)
        least = [clipping(counts, ends, "mse", bits) for bits in range(2, 9)]
        entropies = [clipping(counts, ends, "entropy", bits) for bits in (2, 4, 8)]

        assert least == sorted(least)
        assert entropies == sorted(entropies)
        assert 1 < entropies[0] < entropies[-1] < 10


def test_zeros_however_many_do_not_move_the_entropys_range():
    values = np.abs(tail())
    counts, ends = histogram(values)
    more, _ = histogram(np.concatenate([values, np.zeros(500_000)]))

    assert clipping(counts, ends, "entropy", 8) == clipping(more, ends, "entropy", 8)


def test_entropy_cuts_the_tail_of_a_bell_and_keeps_a_flat_distribution_whole():
    assert clipping(*histogram(tail()), "entropy", 8) < 10
    flat = np.random.default_rng(0).uniform(-1, 1, 100_000)
    assert clipping(*histogram(flat), "entropy", 8) > 0.95


def test_entropy_keeps_the_range_of_a_few_distinct_values():
    greys = np.random.default_rng(0).integers(0, 17, 5000) / 16
    for bits in (3, 4, 8):
        assert clipping(*histogram(greys), "entropy", bits) > 0.8


def test_entropy_is_that_of_a_brute_force_search():
    counts = np.random.default_rng(1).poisson(1000 * np.exp(-np.arange(64) / 6))
    counts[0] = counts[1]
    both = np.concatenate([np.zeros(64, np.int64), counts])
    levels = 8

    def divergence(kept):
        reference = counts[:kept].astype(float)
        reference[-1] += counts[kept:].sum()
        rounded = np.zeros(kept)
        for level in range(levels):
            members = [at for at in range(kept) if at * levels // kept == level and reference[at] > 0]
            for at in members:
                rounded[at] = counts[members].sum() / len(members)
        p, q = reference / reference.sum(), rounded / reference.sum()
        return sum(a * np.log(a / max(b, 1e-10)) - a + b for a, b in zip(p, q, strict=True) if a > 0)

    best = min(range(levels, 65), key=divergence)

    assert clipping(both, (0.0, 64.0), "entropy", 3) == pytest.approx(best)


def test_ranges_are_those_of_the_models_own_tensors(digits, tmp_path):
    workload = Around(digits, Mlp)
    model = workload.model()
    export_float(model, workload, tmp_path / "x.onnx")
    images = torch.cat([inputs[0] for inputs, _ in workload.batches("calibration", 64, limit=128)])
    hidden = torch.relu(model.first(images.flatten(1))).detach()
    out = model(images).detach()

    wanted = {method: Wanted("@first@0:act", method, 3) for method in METHODS}
    found = calibrate(onnx.load(tmp_path / "x.onnx"), workload, {*wanted.values(), Wanted("output")})

    most = float(hidden.max())
    assert found[Wanted("output")] == pytest.approx((float(out.min()), float(out.max())), rel=1e-5)
    assert found[wanted["minmax"]] == pytest.approx((0, most), rel=1e-5)
    assert found[wanted["percentile"]][1] == pytest.approx(
        np.quantile(hidden.numpy(), 0.9999, method="higher"), rel=0.01
    )
    low, high = found[wanted["mse"]]
    assert low == 0
    assert high < most
    assert squared(hidden.numpy(), high, 3) < squared(hidden.numpy(), most, 3)


def test_a_histogram_of_a_split_that_is_empty_is_refused(digits, tmp_path):
    class Empty(Around):
        def __init__(self):
            super().__init__(digits, Mlp)
            self.batches = lambda *arguments, **more: iter(())

    export_float(Mlp().eval(), digits, tmp_path / "x.onnx")
    with pytest.raises(WorkloadError, match="the calibration split is empty"):
        calibrate(onnx.load(tmp_path / "x.onnx"), Empty(), [Wanted("output", "mse")])
