from hypothesis import given
from hypothesis import strategies as st

from search.ties import is_clearly_better, ties
from spaces import Metric
from tests.strategies import PROPERTY


def metrics(accuracy, size, half=0.01, latency=None):
    found = {
        "accuracy": Metric(accuracy, "fraction", low=accuracy - half, high=accuracy + half),
        "size_bytes": Metric(size, "byte"),
    }
    return (
        found if latency is None else found | {"latency_ms": Metric(latency, "ms", low=latency, high=latency)}
    )


def test_an_advantage_within_the_noise_of_both_is_marked_and_a_clear_one_is_not():
    front = {1: metrics(0.90, 50), 2: metrics(0.905, 80), 3: metrics(0.99, 100)}

    assert ties(front, ("accuracy", "size_bytes")) == {1: [], 2: [1], 3: []}


def test_sizes_are_exact_so_that_the_smaller_is_never_tied():
    front = {1: metrics(0.90, 50), 2: metrics(0.90, 51)}

    assert ties(front, ("accuracy", "size_bytes"))[1] == []


def test_members_that_noise_alone_separates_are_in_each_others_list():
    front = {1: metrics(0.90, 50, latency=1.0), 2: metrics(0.91, 50, latency=1.02)}

    assert ties(front, ("accuracy", "latency_ms")) == {1: [2], 2: [1]}


def test_latencies_closer_than_three_percent_are_tied_whatever_their_intervals():
    assert not is_clearly_better("latency_ms", metrics(0.9, 1, latency=1.0), metrics(0.9, 1, latency=1.02))
    assert is_clearly_better("latency_ms", metrics(0.9, 1, latency=1.0), metrics(0.9, 1, latency=1.05))


def test_drops_measured_against_the_same_reference_tell_closer_accuracies_apart():
    one, other = metrics(0.95, 1, half=0.05), metrics(0.93, 1, half=0.05)
    assert not is_clearly_better("accuracy", one, other)

    one["accuracy_drop"] = Metric(0.01, "fraction", low=0.005, high=0.015)
    other["accuracy_drop"] = Metric(0.03, "fraction", low=0.025, high=0.035)
    assert is_clearly_better("accuracy", one, other)
    assert not is_clearly_better("accuracy", other, one)


def test_a_front_of_one_is_tied_with_nobody():
    assert ties({4: metrics(0.9, 1)}, ("accuracy",)) == {4: []}


halves = st.none() | st.floats(0, 0.1)


def interval(value, half):
    return Metric(value, "fraction", low=half and value - half, high=half and value + half)


members = st.builds(
    lambda accuracy, half, drop, latency, size: {
        "accuracy": interval(accuracy, half),
        "latency_ms": Metric(latency, "ms"),
        "size_bytes": Metric(size, "byte"),
        **({} if drop is None else {"accuracy_drop": interval(0.99 - accuracy + drop, half)}),
    },
    st.sampled_from((0.5, 0.6, 0.61, 0.7)),
    halves,
    st.none() | st.floats(-0.05, 0.05),
    st.sampled_from((1.0, 1.01, 1.1, 2.0)),
    st.integers(1, 3),
)


@PROPERTY
@given(
    st.lists(members, max_size=8),
    st.lists(st.sampled_from(("accuracy", "latency_ms", "size_bytes")), min_size=1, unique=True),
)
def test_members_are_tied_as_each_pair_of_them_is(front, objectives):
    by_number = {3 * index: metrics for index, metrics in enumerate(front)}

    assert ties(by_number, objectives) == {
        number: [
            other
            for other, theirs in by_number.items()
            if other != number and not any(is_clearly_better(name, own, theirs) for name in objectives)
        ]
        for number, own in by_number.items()
    }
