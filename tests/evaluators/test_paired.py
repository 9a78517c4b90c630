import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaluators.paired import Discordant, Z


@st.composite
def tables(draw):
    first, second = draw(st.integers(0, 60)), draw(st.integers(0, 60))
    return Discordant(first, second, first + second + draw(st.integers(1, 500)))


def test_pairs_are_counted_where_one_alone_is_right():
    first, second = np.array([1, 1, 0, 0, 1]), np.array([1, 0, 1, 0, 0])

    assert Discordant.of(first, second) == Discordant(2, 1, 5)


@given(tables())
def test_the_test_is_the_binomial_one(table):
    total = table.first + table.second
    expected = stats.binomtest(table.first, total).pvalue if total else 1.0

    assert table.p_value == pytest.approx(expected)


@given(tables())
def test_the_interval_leaves_zero_out_exactly_where_mcnemars_score_says_so(table):
    low, high = table.interval()
    total = table.first + table.second
    statistic = abs(table.first - table.second) / np.sqrt(total) if total else 0.0

    assert -1 <= low <= (table.first - table.second) / table.count <= high <= 1
    if abs(statistic - Z) > 1e-6:
        assert (low > 0 or high < 0) == (statistic > Z)


@given(tables())
def test_exchanging_the_models_turns_the_interval_round(table):
    low, high = table.interval()

    other = Discordant(table.second, table.first, table.count).interval()

    assert other == pytest.approx((-high, -low), abs=1e-9)


def test_models_that_never_differ_may_still_differ_a_little_elsewhere():
    low, high = Discordant(0, 0, 300).interval()

    assert high == pytest.approx(Z**2 / (300 + Z**2))
    assert low == pytest.approx(-high)


@pytest.mark.parametrize(("one", "other"), [(0.02, 0.01), (0.005, 0.005), (0.1, 0.02)])
def test_the_interval_holds_the_truth_as_often_as_it_says(one, other):
    generator = np.random.default_rng(0)
    draws = generator.multinomial(300, [one, other, 1 - one - other], size=600)

    held = 0
    for first, second, _ in draws:
        low, high = Discordant(int(first), int(second), 300).interval()
        held += low <= one - other <= high

    assert held / 600 >= 0.93


def test_two_tenths_of_a_point_mean_something_on_enough_examples_only():
    few, many = Discordant(3, 2, 500), Discordant(240, 140, 50_000)  # 0.2 points each

    assert few.p_value == 1.0
    assert few.interval()[0] < 0 < few.interval()[1]
    assert many.p_value < 1e-6
    assert many.interval()[0] > 0.001
