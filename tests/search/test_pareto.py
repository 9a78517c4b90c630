from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.pareto import Score, contenders, find_front, hypervolume, unbeatable
from search.spec import Bound
from search.trial import Trial, TrialState
from spaces import LayerPolicy, Method, Metric, Policy, Prune
from tests.strategies import PROPERTY

OBJECTIVES = ("accuracy", "size_bytes", "latency_ms")
REFERENCE = {
    "accuracy": Metric(0.9, "fraction"),
    "size_bytes": Metric(100, "byte"),
    "latency_ms": Metric(1.0, "ms"),
}


def trial(number, accuracy, size, latency=0.5, state=TrialState.COMPLETED, **more):
    metrics = {
        "accuracy": Metric(accuracy, "fraction"),
        "accuracy_drop": Metric(0.9 - accuracy, "fraction"),
        "size_bytes": Metric(size, "byte"),
        "latency_ms": Metric(latency, "ms", more.pop("method", Method.MEASURED)),
    }
    policy = Policy(layers={"a": LayerPolicy(Prune(number / 10_000))})
    return Trial(number, policy, {}, "tpe", state=state, metrics=metrics, **more)


def front(trials, objectives=("accuracy", "size_bytes"), **choice):
    return find_front(trials, objectives, REFERENCE, **choice)


def numbers(found):
    return [member.number for member in found.trials]


coordinates = st.integers(0, 4)
clouds = st.lists(st.tuples(coordinates, coordinates, coordinates), max_size=14)


def cloud_of(points):
    return [trial(i, a / 5, 10 + s, 0.1 + t / 10) for i, (a, s, t) in enumerate(points)]


@PROPERTY
@given(clouds)
def test_the_front_is_what_nobody_dominates_each_point_once(points):
    def dominates(p, q):
        better_or_equal = p[0] >= q[0] and p[1] <= q[1] and p[2] <= q[2]
        return better_or_equal and p != q

    expected = [
        i for i, p in enumerate(points) if not any(dominates(q, p) for q in points) and p not in points[:i]
    ]

    assert sorted(numbers(front(cloud_of(points), OBJECTIVES))) == expected


@PROPERTY
@given(clouds)
def test_the_hypervolume_is_the_share_of_the_reference_box_that_is_dominated(points):
    trials = cloud_of(points)
    grid = (np.arange(24) + 0.5) / 24
    accuracy, size, latency = np.meshgrid(grid, grid, grid, indexing="ij")
    covered = np.zeros_like(accuracy, dtype=bool)
    for member in trials:
        shares = (
            1 - member.value("accuracy") / 0.9,
            member.value("size_bytes") / 100,
            member.value("latency_ms"),
        )
        covered |= (accuracy >= shares[0]) & (size >= shares[1]) & (latency >= shares[2])

    assert hypervolume(trials, OBJECTIVES, REFERENCE) == pytest.approx(covered.mean(), abs=0.08)


@PROPERTY
@given(clouds)
def test_the_hypervolume_never_falls_as_trials_come(points):
    trials = cloud_of(points)
    volumes = [hypervolume(trials[:count], OBJECTIVES, REFERENCE) for count in range(len(trials) + 1)]

    assert all(before <= after + 1e-12 for before, after in pairwise(volumes))
    assert volumes[0] == 0


def test_a_trial_worse_than_the_reference_adds_nothing():
    assert hypervolume([trial(0, 0.9, 120)], ("accuracy", "size_bytes"), REFERENCE) == 0
    assert hypervolume([trial(0, 0.9, 25)], ("accuracy", "size_bytes"), REFERENCE) == pytest.approx(0.75)
    assert hypervolume([trial(0, 0.9, 25)], ("accuracy", "size_bytes"), {}) == 0


def test_only_completed_trials_of_the_highest_fidelity_and_one_method_take_part():
    trials = [
        trial(0, 0.8, 50),
        trial(1, 0.9, 10, state=TrialState.INFEASIBLE),
        trial(2, 0.9, 10, state=TrialState.FAILED),
        trial(3, 0.9, 10, fidelity=0.5),
        trial(4, 0.9, 10, method=Method.MODELLED),
    ]

    assert numbers(front(trials, ("accuracy", "latency_ms"))) == [0]
    assert numbers(front(trials, ("accuracy", "latency_ms"), method=Method.MODELLED)) == [4]


def test_the_chosen_trial_is_the_cheapest_within_the_constraints():
    trials = [trial(0, 0.9, 80), trial(1, 0.895, 40), trial(2, 0.7, 10)]
    within = {"accuracy_drop": Bound(high=0.01)}

    found = front(trials, constraints=within)

    assert (found.chosen, found.constraint_binding, found.constraints_met) == (1, "accuracy_drop", True)
    assert front(trials).chosen == 2
    assert front(trials).constraint_binding is None
    assert front(trials, minimize="accuracy_drop", constraints=within).chosen == 0


def test_without_a_trial_within_the_constraints_the_nearest_miss_is_chosen():
    trials = [trial(0, 0.85, 80), trial(1, 0.8, 40)]

    found = front(trials, constraints={"accuracy_drop": Bound(high=0.01)})

    assert (found.chosen, found.constraint_binding, found.constraints_met) == (0, "accuracy_drop", False)


def test_the_knee_is_where_the_trade_off_turns():
    trials = [trial(0, 0.9, 100), trial(1, 0.88, 30), trial(2, 0.5, 20)]

    assert front(trials).knee == 1


def test_an_empty_front_has_nothing_to_choose():
    found = front([])

    assert (found.trials, found.hypervolume, found.knee, found.chosen) == ((), 0.0, None, None)


def test_unbeatable_are_the_costs_of_those_that_cannot_be_more_accurate():
    found = front([trial(0, 1.0, 80), trial(1, 0.9, 40)])

    assert unbeatable(found) == [{"size_bytes": 80}]
    assert unbeatable(front([trial(0, 1.0, 80)], ("size_bytes",))) == []


METHODS = st.sampled_from([Method.MEASURED, Method.MODELLED])
FIDELITIES = st.sampled_from([0.5, 1.0, 1.0])


@PROPERTY
@given(st.lists(st.tuples(coordinates, coordinates, METHODS, FIDELITIES), max_size=14))
def test_a_front_of_the_contenders_is_the_front_of_all(points):
    objectives = ("accuracy", "latency_ms")
    trials = [
        trial(i, a / 5, 10, 0.1 + t / 10, method=method, fidelity=fidelity)
        for i, (a, t, method, fidelity) in enumerate(points)
    ]
    scores = [
        Score(
            one.number,
            one.fidelity,
            tuple(one.value(name) for name in objectives),
            tuple(str(one.metrics[name].method) for name in objectives),
        )
        for one in trials
    ]

    some = [trials[number] for number in contenders(scores, objectives)]

    for method in (None, *Method):
        assert front(some, objectives, method=method) == front(trials, objectives, method=method)
