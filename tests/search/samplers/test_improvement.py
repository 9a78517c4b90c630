import moocore
import numpy as np
import pytest

from search.samplers.guided.improvement import Improvement, gauss_nodes


def hypervolume(points):
    inside = points[(points < 1).all(axis=1)]
    return moocore.hypervolume(inside, ref=np.ones(points.shape[1])) if len(inside) else 0.0


def sample(seed, count, costs):
    draw = np.random.default_rng(seed)
    values = np.round(draw.uniform(0, 1.1, (count, 1 + costs)), 2)  # ties and points beyond the box
    return values[:, 0], values[:, 1:]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("costs", [0, 1, 2])
def test_the_gain_of_a_certain_candidate_is_the_difference_of_two_hypervolumes(seed, costs):
    errors, spent = sample(seed, 12, costs)
    new_errors, new_spent = sample(seed + 50, 20, costs)
    front = np.column_stack([errors, spent])

    gains = Improvement(errors, spent).expected(new_errors[:, None], np.ones(1), new_spent)

    for gain, error, cost in zip(gains, new_errors, new_spent, strict=True):
        grown = np.vstack([front, [error, *cost]])
        assert gain == pytest.approx(hypervolume(grown) - hypervolume(front), abs=1e-12)


def test_an_uncertain_error_gains_the_mean_over_its_values():
    errors, spent = sample(1, 8, 2)
    nodes, weights = gauss_nodes()
    values = 0.4 + 0.2 * nodes[None, :]
    front = np.column_stack([errors, spent])

    gain = Improvement(errors, spent).expected(values, weights, np.array([[0.3, 0.3]]))[0]

    each = [hypervolume(np.vstack([front, [value, 0.3, 0.3]])) - hypervolume(front) for value in values[0]]
    assert weights.sum() == pytest.approx(1)
    assert gain == pytest.approx(float(np.dot(weights, each)))


def test_with_three_costs_the_gain_is_near_the_exact_one():
    errors, spent = sample(2, 6, 3)
    front = np.column_stack([errors, spent])

    gain = Improvement(errors, spent).expected(np.array([[0.2]]), np.ones(1), np.array([[0.2, 0.3, 0.1]]))[0]

    exact = hypervolume(np.vstack([front, [0.2, 0.2, 0.3, 0.1]])) - hypervolume(front)
    assert gain == pytest.approx(exact, rel=0.05)


def test_an_empty_front_leaves_the_whole_box_to_gain():
    gains = Improvement(np.zeros(0), np.zeros((0, 2))).expected(
        np.array([[0.5], [2.0]]), np.ones(1), np.array([[0.5, 0.5], [0.1, 0.1]])
    )

    assert gains.tolist() == [0.125, 0.0]
