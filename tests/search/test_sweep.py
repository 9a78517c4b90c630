from itertools import product

import numpy as np
import pytest

from search.sweep import Group, exact_front, farthest_first, multipliers_for, sweep


def additive(seed, groups=4, costs=2):
    """Random groups of one or two axes; losses and costs are whole numbers, so that sums are exact."""
    draw = np.random.default_rng(seed)
    made, first = [], 0
    for _ in range(groups):
        width = int(draw.integers(1, 3))
        options = np.array(list(product(range(3), repeat=width)))
        made.append(
            Group(
                tuple(range(first, first + width)),
                options,
                draw.integers(0, 30, len(options)).astype(float),
                draw.integers(0, 30, (len(options), costs)).astype(float),
            )
        )
        first += width
    return made


def every_point(groups):
    """All points with their loss and costs, by listing them."""
    for chosen in product(*(range(len(group.losses)) for group in groups)):
        point, total = [0] * sum(len(group.axes) for group in groups), 0.0
        for group, option in zip(groups, chosen, strict=True):
            for axis, index in zip(group.axes, group.options[option], strict=True):
                point[axis] = int(index)
            total = total + np.array([group.losses[option], *group.costs[option]])
        yield tuple(point), total


def values_at(groups, points):
    known = dict(every_point(groups))
    return np.array([known[tuple(point)] for point in points.tolist()])


@pytest.mark.parametrize("seed", range(4))
def test_a_sweep_finds_the_minimum_of_the_weighted_sum_over_all_points(seed):
    groups = additive(seed, groups=3)
    weights = multipliers_for(groups, 40, np.random.default_rng(seed))
    everything = np.array([total for _, total in every_point(groups)])

    found = values_at(groups, sweep(groups, weights))

    for row, weight in zip(found, weights, strict=True):
        best = (everything[:, 0] + everything[:, 1:] @ weight).min()
        assert row[0] + row[1:] @ weight == pytest.approx(best)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("costs", [1, 2])
def test_the_exact_front_is_what_no_other_point_dominates(seed, costs):
    groups = additive(seed, groups=3, costs=costs)
    totals = np.array([total for _, total in every_point(groups)])
    expected = {
        tuple(total)
        for total in totals
        if not ((totals <= total).all(axis=1) & (totals < total).any(axis=1)).any()
    }

    points = exact_front(groups)

    assert {tuple(row) for row in values_at(groups, points)} == expected
    assert len(points) == len(expected)


def test_a_front_that_would_be_too_large_is_left_to_the_sweep():
    assert exact_front(additive(0), limit=2) is None


def test_pruning_drops_dominated_options_alone():
    group = additive(5, groups=1)[0]
    pruned = group.pruned()
    rows = np.column_stack([group.losses, group.costs])

    for row in rows:
        kept = np.column_stack([pruned.losses, pruned.costs])
        assert (kept <= row).all(axis=1).any()
    assert 1 <= len(pruned.losses) <= len(group.losses)


def test_the_farthest_come_first_and_repeated_points_never():
    features = np.array([[0.0, 0.0], [1.0, 1.0], [0.1, 0.0], [0.0, 0.0], [0.0, 1.0]])

    assert farthest_first(features, 3) == [0, 1, 4]
    assert farthest_first(features, 9) == [0, 1, 4, 2]
    assert farthest_first(features, 1, known=np.array([[1.0, 1.0]])) == [0]
    assert farthest_first(features[:1], 1, known=features[:1]) == []
