import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.latency.agreement import Agreement, kendall
from benchmarks.latency.load import busy_cores
from benchmarks.latency.policies import CHANNELS, STEPS, close_policies


@given(st.integers(2, 12).flatmap(lambda n: st.tuples(*[st.permutations(range(n))] * 2)))
def test_rank_agreement_is_kendalls(orders):
    first, second = map(np.array, orders)

    assert kendall(first, second) == pytest.approx(stats.kendalltau(first, second).statistic)


def test_runs_that_say_the_same_agree_and_do_not_vary():
    found = Agreement.of(np.tile([1.0, 0.9, 0.8], (3, 1)))

    assert found.taus.tolist() == [1.0, 1.0, 1.0]
    assert found.variations.max() < 1e-12


def test_the_policies_take_sixteen_more_channels_each():
    policies = close_policies(["stem.0", *dict.fromkeys(name for name, _ in STEPS), "head"], int8=False)

    widths = dict(STEPS)
    removed = [
        sum(round(layer.prune.ratio * widths[name]) for name, layer in policy.layers.items() if layer.prune)
        for policy in policies
    ]

    assert removed == [CHANNELS * index for index in range(10)]


def test_the_busy_processes_end_with_what_wanted_them():
    before = {child.pid for child in psutil.Process().children()}
    with busy_cores() as count:
        spinning = [child for child in psutil.Process().children() if child.pid not in before]
        assert len(spinning) == count

    assert not any(child.is_running() for child in spinning)
