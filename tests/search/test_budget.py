import pytest

from search.budget import is_exhausted, left, spent
from search.spec import MAX_TRIALS, Budget
from search.trial import Trial, TrialState
from spaces import InvalidSpec, Policy


def trials(*fidelities, seconds=2.0, state=TrialState.COMPLETED):
    return [
        Trial(i, Policy(), {}, "tpe", state=state, fidelity=fidelity, seconds=seconds * max(fidelity, 0.1))
        for i, fidelity in enumerate(fidelities)
    ]


def test_a_trial_counts_by_its_fidelity_and_a_tenth_at_least():
    assert spent(trials(1.0, 0.25, 0.0)) == pytest.approx(1.35)
    assert spent(trials(1.0, state=TrialState.GATED)) == 0
    assert spent(trials(1.0, 1.0, state=TrialState.FAILED)) == 2


def test_ten_calibrations_use_up_one_trial_exactly():
    assert left(Budget(1), trials(*[0.0] * 10), 0.0) == 0


def test_of_trials_and_seconds_the_tighter_holds():
    done = trials(*[1.0] * 4)

    assert left(Budget(10), done, 1e6) == 6
    assert left(Budget(10, wall_s=1000), done, 8.0) == 6
    assert left(Budget(100, wall_s=28), done, 8.0) == pytest.approx((28 - 8) / 2)
    assert left(Budget(100, wall_s=9), done, 9.5) <= 0


def test_seconds_are_kept_for_finalists_but_a_fifth_at_most():
    done = trials(1.0, seconds=0.5)

    assert left(Budget(100, wall_s=100), done, 90.0, 4) == pytest.approx((10 - 2 * 4 * 0.5) / 0.5)
    assert left(Budget(100, wall_s=10), trials(1.0, seconds=9), 8.0, 1) <= 0


def test_before_the_first_trial_nobody_knows_what_seconds_pay_for():
    assert left(Budget(7, wall_s=10), [], 1.0) == 7


def test_seconds_alone_end_a_job_as_well():
    assert Budget.from_dict({"wall_s": 60}) == Budget(MAX_TRIALS, 60)
    assert Budget.from_dict({"wall_s": 60, "trials": 5}) == Budget(5, 60)
    assert Budget.from_dict({}) == Budget(40)


def test_a_search_ends_early_once_the_rest_is_expected_to_gain_too_little():
    rising = [0.02 * i for i in range(1, 31)]
    flat = [0.5 + 1e-5 * i for i in range(30)]

    assert not is_exhausted(rising, 100, 0.01)
    assert is_exhausted(flat, 100, 0.01)
    assert not is_exhausted(flat, 1000, 0.01)
    assert not is_exhausted(flat[:15], 100, 0.01)


def test_without_a_threshold_the_budget_is_used_up():
    assert not is_exhausted([0.5] * 100, 100, 0.0)


def test_a_front_that_begins_anew_at_a_higher_fidelity_does_not_end_the_search():
    assert not is_exhausted([0.5] * 25 + [0.2], 100, 0.01)


@pytest.mark.parametrize("least", [-0.1, 1.0, float("nan")])
def test_a_threshold_is_a_share(least):
    with pytest.raises(InvalidSpec):
        Budget(1, None, least)
