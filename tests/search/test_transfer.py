import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.transfer import Transfer
from tests.strategies import PROPERTY

accuracies = st.floats(0, 1)


def test_without_pairs_a_result_is_expected_to_stay():
    assert Transfer.fitted(3, []).to_full(0, 0.7) == pytest.approx(0.7)


def test_a_gain_that_many_pairs_have_is_expected_of_others():
    pairs = [(0, 0.5 + 0.02 * i, 0.9 + 0.005 * i) for i in range(20)]
    transfer = Transfer.fitted(2, pairs)

    assert transfer.to_full(0, 0.71) == pytest.approx(0.95, abs=0.01)


def test_few_pairs_are_half_believed():
    one, many = (Transfer.fitted(2, [(0, 0.5, 0.9)] * count).to_full(0, 0.5) for count in (1, 50))

    assert 0.5 < one < many < 0.91


def test_rungs_are_climbed_one_after_another():
    transfer = Transfer.fitted(3, [(0, 0.5, 0.7)] * 40 + [(1, 0.7, 0.9)] * 40)

    assert transfer.to_full(0, 0.5) == pytest.approx(0.9, abs=0.02)
    assert transfer.to_full(1, 0.7) == pytest.approx(0.9, abs=0.02)


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 1), accuracies, accuracies), max_size=8), accuracies, accuracies)
def test_what_is_expected_rises_with_the_result_and_stays_a_share(pairs, one, other):
    transfer = Transfer.fitted(3, pairs)
    low, high = transfer.to_full(0, min(one, other)), transfer.to_full(0, max(one, other))

    assert 0 <= low <= high + 1e-12 <= 1 + 1e-12


def test_a_metric_that_is_no_share_is_left_alone():
    assert Transfer.fitted(2, [(0, -0.5, 3.0)]).to_full(0, -0.5) == -0.5
