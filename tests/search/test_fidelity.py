from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.fidelity import Promotion, SuccessiveHalving, order_of, ranks_of
from spaces import InvalidValue
from tests.strategies import PROPERTY

coordinates = st.integers(0, 4)
clouds = st.lists(st.tuples(coordinates, coordinates, coordinates), max_size=12)


def table(points):
    return np.array(points, dtype=np.float64).reshape(len(points), 3)


def dominates(p, q):
    return p != q and all(a <= b for a, b in zip(p, q, strict=True))


@PROPERTY
@given(clouds)
def test_a_rank_is_what_is_left_undominated_once_the_ranks_before_are_taken_away(points):
    expected, left, rank = {}, set(range(len(points))), 0
    while left:
        layer = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        expected |= dict.fromkeys(layer, rank)
        left, rank = left - layer, rank + 1

    assert ranks_of(table(points)).tolist() == [expected[i] for i in range(len(points))]


@PROPERTY
@given(clouds)
def test_within_a_rank_each_next_is_the_farthest_from_all_before_it(points):
    values = table(points)
    order, ranks = order_of(values), ranks_of(values)

    assert sorted(order) == list(range(len(points)))
    assert [ranks[i] for i in order] == sorted(ranks)
    for rank in set(ranks.tolist()):
        rows = [i for i in order if ranks[i] == rank]
        span = np.ptp(values[rows], axis=0)
        scaled = (values - values[rows].min(axis=0)) / np.where(span > 0, span, 1)
        assert values[rows[0], 0] == values[rows, 0].min()
        for count in range(1, len(rows)):
            gaps = [min(((scaled[i] - scaled[j]) ** 2).sum() for j in rows[:count]) for i in rows[count:]]
            assert gaps[0] == pytest.approx(max(gaps))


@PROPERTY
@given(clouds)
def test_any_part_of_a_net_covers_its_rank_within_twice_the_best_radius(points):
    """Gonzalez 1985: against every choice of as many rows."""
    values = table(points)
    rows = [i for i in order_of(values) if ranks_of(values)[i] == 0]
    span = np.ptp(values[rows], axis=0) if rows else np.ones(3)
    scaled = values / np.where(span > 0, span, 1)

    def radius(centres):
        return max(min(np.linalg.norm(scaled[i] - scaled[j]) for j in centres) for i in rows)

    for count in range(1, min(len(rows), 4)):
        best = min(radius(centres) for centres in combinations(rows, count))
        assert radius(rows[:count]) <= 2 * best + 1e-9


def test_objectives_are_compared_whatever_their_units():
    values = np.array([[0.0, 3e6], [1.0, 2e6], [2.0, 1.9e6], [3.0, 0.0]])

    assert order_of(values) == order_of(values * [1.0, 1e-6]) == [0, 3, 2, 1]


def test_a_third_of_a_rung_is_promoted_the_best_first_and_nobody_twice():
    halving = SuccessiveHalving((0.0, 0.25, 1.0))
    for trial, loss in enumerate((0.5, 0.1, 0.4, 0.3, 0.2, 0.6)):
        halving.report(trial, 0, (loss, 1.0))

    assert halving.promotable() == Promotion(1, 1)
    halving.begin(1, 1)
    assert halving.promotable() == Promotion(4, 1)
    halving.begin(4, 1)
    assert halving.promotable() is None


def test_the_highest_rung_is_served_first():
    halving = SuccessiveHalving((0.0, 0.25, 1.0))
    for trial in range(12):
        halving.report(trial, 0, (trial, 0.0))
    for trial in range(3):
        halving.report(trial, 1, (-trial, 0.0))

    assert halving.promotable() == Promotion(2, 2)
    halving.report(2, 2, (0.0, 0.0))
    assert halving.promotable() == Promotion(3, 1)


def test_what_runs_goes_on_while_it_is_among_the_best_third():
    halving = SuccessiveHalving((0.25, 1.0))

    assert [halving.report(t, 0, (loss,)) for t, loss in enumerate((0.5, 0.6, 0.4, 0.45, 0.41))] == [
        "continue", "stop", "continue", "continue", "continue",
    ]  # fmt: skip
    assert halving.report(0, 1, (0.1,)) == "stop"


def test_failed_results_count_and_are_never_promoted():
    halving = SuccessiveHalving((0.0, 1.0))
    for trial, loss in enumerate((float("nan"), float("inf"), 0.5)):
        halving.report(trial, 0, (loss, 0.0))

    assert halving.promotable() == Promotion(2, 1)
    assert halving.ordered(0) == [2]
    assert halving.report(3, 0, (float("nan"), 0.0)) == "stop"


@PROPERTY
@given(clouds, st.integers(0, 12))
def test_told_the_same_again_it_answers_the_same(points, cut):
    def told(halving, items):
        return [(halving.report(trial, 0, values), halving.promotable()) for trial, values in items]

    items = list(enumerate(points))
    first, again = SuccessiveHalving(), SuccessiveHalving()
    answers = told(first, items)

    told(again, items[:cut])
    assert told(again, items[cut:]) == answers[cut:]


@pytest.mark.parametrize("rungs", [(), (0.5, 0.5), (1.0, 0.0)])
def test_rungs_ascend(rungs):
    with pytest.raises(InvalidValue, match="ascend"):
        SuccessiveHalving(rungs)


def test_at_least_half_is_left_out():
    with pytest.raises(InvalidValue, match="at least 2"):
        SuccessiveHalving(reduction=1)
