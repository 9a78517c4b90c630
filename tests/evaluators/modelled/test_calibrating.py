import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluators.modelled.calibrating import LEAST_SAMPLES, Sample, calibrate, errors
from evaluators.modelled.graph_costs import KernelCost
from evaluators.modelled.roofline import Roofline
from evaluators.targets import Target, find_target
from evaluators.targets.calibration import Calibration
from spaces import InvalidValue
from tests.strategies import PROPERTY

DECLARED = find_target("x86-vnni")
TRUE = replace(
    DECLARED,
    efficiency={"*": 0.5, "conv/float32": 0.8, "conv/int8": 0.3, "other": 0.9},
    overhead_us={"*": 2.0, "conv/int8": 5.0, "call": 20.0},
)


def network(draw):
    """Kernels of a made-up network: convolutions in both formats, and others."""
    costs = []
    for _ in range(draw.randrange(4, 16)):
        bits, width = draw.choice((8, 32)), draw.randrange(8, 128, 8)
        macs = float(width * width * draw.randrange(100, 4000))
        costs.append(KernelCost("c", "conv", bits, bits, macs, (width, width), width * width * 9.0, 1e4))
        costs.append(KernelCost("o", "other", 32, 32, 0.0, (0, 0), 0.0, draw.uniform(1e3, 1e6)))
    return costs


def measured(count, noise=0.0, seed=0):
    draw = random.Random(seed)
    truth = Roofline(TRUE)
    nets = [network(draw) for _ in range(count)]
    return [Sample(costs, truth.latency_ms(costs) * (1 + draw.uniform(-noise, noise))) for costs in nets]


def predictions(target, samples):
    roofline = Roofline(target)
    found = np.array([roofline.latency_ms(sample.costs) for sample in samples])
    return errors(found, np.array([sample.latency_ms for sample in samples]))


def test_the_truth_is_found_again_and_predicts_what_was_not_seen():
    fitted = calibrate(DECLARED, measured(40), {"cpu": "imagined"})

    assert predictions(DECLARED, measured(20, seed=1)).mape > 0.15
    unseen = predictions(fitted, measured(20, seed=1))
    assert unseen.mape < 0.02
    assert unseen.tau > 0.97
    assert fitted.calibration.efficiency["conv/float32"] == pytest.approx(0.8, rel=0.1)
    assert fitted.calibration.fingerprint == {"cpu": "imagined"}
    assert fitted.calibration.samples == 40


def test_what_moves_through_the_caches_is_found_again_where_products_are_short():
    def products(count, seed):
        draw = random.Random(seed)
        for _ in range(count):
            shapes = [
                (draw.choice((16, 49, 64, 784)), draw.randrange(16, 512, 16), draw.randrange(16, 256, 16))
                for _ in range(draw.randrange(3, 9))
            ]
            yield [
                KernelCost(
                    "p", "conv", 32, 32, float(rows * inner * outs), (outs, inner), 0.0, 0.0, rows=rows
                )
                for rows, inner, outs in shapes
            ]

    moving = Calibration({**TRUE.efficiency}, TRUE.overhead_us, 0, 1, 0, 9, {}, {"conv/float32": (1, 0.5, 3)})
    truth = Roofline(replace(TRUE, calibration=moving))
    seen, unseen = (
        [Sample(costs, truth.latency_ms(costs)) for costs in products(count, seed)]
        for count, seed in ((40, 0), (20, 1))
    )

    fitted = calibrate(DECLARED, seen)

    assert predictions(fitted, unseen).mape < 0.01
    assert fitted.calibration.traffic_ns["conv/float32"] == pytest.approx((1, 0.5, 3), rel=0.1)
    assert Target.from_dict(fitted.to_dict()) == fitted


def test_the_stored_error_is_that_of_samples_which_a_fit_had_not_seen():
    """As large as the noise, though a fit with as many parameters as samples could hide it."""
    fitted = calibrate(DECLARED, measured(16, noise=0.2))

    assert 0.05 < fitted.calibration.mape < 0.3
    assert fitted.calibration.error_95 >= fitted.calibration.mape


def test_what_no_sample_shows_stays_as_it_was_declared():
    samples = [
        Sample([cost for cost in item.costs if cost.activation_bits == 32], item.latency_ms)
        for item in measured(12)
    ]

    calibration = calibrate(DECLARED, samples).calibration

    assert "conv/int8" not in calibration.efficiency
    assert calibration.efficiency["depthwise-conv"] == DECLARED.efficiency["depthwise-conv"]


def test_the_same_samples_give_the_same_target_and_it_survives_a_round_trip():
    fitted = calibrate(DECLARED, measured(12, noise=0.05))

    assert fitted == calibrate(fitted, measured(12, noise=0.05))
    assert Target.from_dict(fitted.to_dict()) == fitted


def test_too_few_samples_and_impossible_ones_are_refused():
    with pytest.raises(InvalidValue, match=f"3 samples are too few .* at least {LEAST_SAMPLES}"):
        calibrate(DECLARED, measured(3))
    samples = measured(10)
    samples[4] = replace(samples[4], latency_ms=0.0)
    with pytest.raises(InvalidValue, match="/4/latency_ms: must be above 0"):
        calibrate(DECLARED, samples)


values = st.lists(
    st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)), min_size=2, max_size=12, unique_by=lambda p: p[1]
)


@PROPERTY
@given(values)
def test_errors_are_those_of_their_definitions(pairs):
    predicted, truth = (np.array(column) for column in zip(*pairs, strict=True))

    found = errors(predicted, truth)

    assert found.mape == pytest.approx(sum(abs(p / t - 1) for p, t in pairs) / len(pairs))
    signs = [np.sign(a[0] - b[0]) * np.sign(a[1] - b[1]) for a, b in itertools.combinations(pairs, 2)]
    ties = sum(sign == 0 for sign in signs)
    if ties == len(signs):
        assert found.tau == 1.0
    else:
        total = np.sqrt((len(signs) - ties) * len(signs))
        assert found.tau == pytest.approx(sum(signs) / total)
