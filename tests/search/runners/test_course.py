import pytest

from search.pareto import find_front
from search.runners.course import Course
from search.spec import MAX_TRIALS, Budget
from search.trial import Trial, TrialState
from spaces import LayerPolicy, Metric, Policy, Prune

OBJECTIVES = ("accuracy", "size_bytes")
REFERENCE = {"accuracy": Metric(1.0, "fraction"), "size_bytes": Metric(100, "byte")}


def trial(number, size=50.0, seconds=2.0, fidelity=1.0):
    metrics = {"accuracy": Metric(0.9, "fraction"), "size_bytes": Metric(size, "byte")}
    policy = Policy(layers={"a": LayerPolicy(Prune(number / 1000))})
    return Trial(
        number,
        policy,
        {},
        "tpe",
        state=TrialState.COMPLETED,
        fidelity=fidelity,
        metrics=metrics,
        seconds=seconds,
    )


def course(budget, trials, elapsed_s=0.0):
    known = {t.number: t for t in trials}
    return Course(
        lambda: budget, known, lambda: elapsed_s, lambda some: find_front(some, OBJECTIVES, REFERENCE), 4
    )


def front(trials):
    return find_front(trials, OBJECTIVES, REFERENCE)


def test_a_search_goes_on_until_its_trials_are_used_up():
    assert course(Budget(3), [trial(0), trial(1)]).why_end(nothing_left=False) is None
    assert course(Budget(2), [trial(0), trial(1)]).why_end(nothing_left=False) == ""


def test_seconds_end_a_search_and_say_so():
    ended = course(Budget(9, wall_s=60), [trial(0)], elapsed_s=61)

    assert ended.why_end(nothing_left=False) == "ended after 60 s, its wall-time budget, with 1 trials"
    assert not ended.has_time
    assert course(Budget(1, wall_s=60), [trial(0)], elapsed_s=61).why_end(nothing_left=False) == ""


def test_a_space_that_is_used_up_ends_a_search():
    assert "every policy of the space was tried" in course(Budget(9), [trial(0)]).why_end(nothing_left=True)


def test_a_search_that_gains_nothing_more_ends_early_where_that_is_asked_for():
    flat = [trial(0, 50)] + [trial(i, 60) for i in range(1, 25)]

    assert course(Budget(100), flat).why_end(nothing_left=False) is None
    why = course(Budget(100, min_gain=0.01), flat).why_end(nothing_left=False)
    assert why == "ended with 25 trials: all others were expected to gain less than 1 %"

    rising = [trial(i, 90 - 3 * i) for i in range(25)]
    assert course(Budget(100, min_gain=0.01), rising).why_end(nothing_left=False) is None


def test_progress_counts_whole_trials_of_full_fidelity():
    trials = [trial(0), trial(1, fidelity=0.0, seconds=0.2), trial(2, fidelity=0.25, seconds=0.5)]
    told = course(Budget(4), trials, elapsed_s=5.0).progress(front(trials))

    assert (told.done, told.total, told.elapsed_s) == (1, 4, 5.0)
    assert told.expected_s == pytest.approx(5.0 + (4 - 1.35) * 2.0)


def test_where_seconds_alone_end_a_job_the_total_is_what_they_are_expected_to_pay_for():
    trials = [trial(0), trial(1)]
    told = course(Budget(MAX_TRIALS, wall_s=100), trials, elapsed_s=20.0).progress(front(trials))

    assert told.total == 2 + (100 - 20 - 16) / 2
    assert told.expected_s == pytest.approx(84)
    assert course(Budget(MAX_TRIALS, wall_s=100), []).progress(front([])).expected_s is None


def test_trials_that_run_are_paid_for_and_seconds_go_further_with_several_at_once():
    def busy(budget, ended, running, workers):
        known, out = {t.number: t for t in ended}, {t.number: t for t in running}
        return Course(
            lambda: budget, known, lambda: 10.0, lambda some: find_front(some, OBJECTIVES, REFERENCE), 0,
            out, workers,
        )  # fmt: skip

    ended, running = [trial(0)], [trial(1), trial(2, fidelity=0.5)]
    assert busy(Budget(4), ended, running, 3).left == 1.5
    assert busy(Budget(4), ended, running, 3).why_end(nothing_left=False) is None
    assert busy(Budget(2), ended, running, 3).why_end(nothing_left=False) == ""
    assert busy(Budget(100, wall_s=16.0), ended, [], 1).left == 3
    assert busy(Budget(100, wall_s=16.0), ended, running, 4).left == 12
    assert busy(Budget(4), ended, running, 3).progress(front(ended)).expected_s == pytest.approx(
        10 + 3 * 2 / 3
    )
