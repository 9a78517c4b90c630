import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from search.samplers import GuidedSampler
from search.samplers.guided.belief import EXPLORED, Belief
from search.samplers.guided.history import History
from search.samplers.guided.knowledge import Knowledge
from search.samplers.study import SKIPPED
from tests.search.samplers.test_guided_sampler import ask, problem, study_of, truth

AXES = 6
OUTCOMES = ("completed", "completed", "nan", "failed", "skipped")


@pytest.fixture(autouse=True, scope="module")
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def sampler(seed):
    return GuidedSampler(problem(AXES), seed=seed, startup=6)


def go_on(study, outcomes):
    """Plays trials that end as told; what they are worth depends on the point alone."""
    for outcome in outcomes[len(study.trials) :]:
        trial = study.ask()
        values = truth(ask(trial, AXES))
        if outcome == "skipped":
            study._storage.set_trial_system_attr(trial._trial_id, SKIPPED, True)
        if outcome == "completed":
            study.tell(trial, values)
        elif outcome == "nan":
            study.tell(trial, (float("nan"), values[1]), skip_if_finished=True)
        else:
            study.tell(trial, state=TrialState.FAIL)
    return [tuple(trial.params.values()) for trial in study.trials]


@pytest.mark.filterwarnings("ignore:The value nan is not acceptable")  # it is what the trial ends with
@settings(deadline=None, max_examples=8)
@given(
    st.lists(st.sampled_from(OUTCOMES), min_size=12, max_size=16),
    st.data(),
    st.integers(0, 3),
)
def test_after_any_trial_and_any_outcomes_a_rebuilt_study_goes_on_alike(outcomes, data, seed):
    whole = study_of(sampler(seed))
    asked = go_on(whole, outcomes)
    cut = data.draw(st.integers(0, len(outcomes)))

    rebuilt = study_of(sampler(seed))
    rebuilt.add_trials(whole.trials[:cut])

    assert go_on(rebuilt, outcomes) == asked
    assert len(set(asked)) == len(asked)


def history(points, values):
    return History([(0, point) for point in points], list(values), list(range(len(points))))


def drawn(count, seed=0):
    draw = np.random.default_rng(seed)
    return [tuple(int(level) for level in draw.integers(4, size=AXES)) for _ in range(count)]


def belief(known, **more):
    task = problem(AXES)
    for name, value in more.items():
        setattr(known, name, value)
    return Belief(task, known, Knowledge(task, known, seed=0))


def test_what_a_worker_evaluates_already_promises_nothing_to_another():
    points = drawn(24)
    known = history(points, [truth(point) for point in points])
    candidates = [(0, point) for point in drawn(200, seed=1) if point not in points]
    alone = belief(known)
    gains = alone.gains(candidates)
    best = int(gains.argmax())

    joined = belief(known, pending=[candidates[best]]).gains(candidates)

    assert gains[best] > 0
    assert joined[best] < 0.2 * gains[best]
    assert int(joined.argmax()) != best


def test_where_deviations_had_to_be_widened_more_is_explored():
    points = drawn(40)
    task, calm = problem(AXES), history(points, [truth(point) for point in points])
    known = Knowledge(task, calm, seed=0)
    trusted = Belief(task, calm, known).insight
    # the hyperparameters of smooth results are kept, and then every second result is another than expected
    wild = [(0.1 if at % 2 else accuracy, cost) for at, (accuracy, cost) in enumerate(calm.values)]

    surprised = Belief(task, history(points, wild), known).insight

    assert surprised.inflation > trusted.inflation
    assert EXPLORED[0] <= trusted.exploration < surprised.exploration
    assert surprised.exploration == pytest.approx(EXPLORED[1])


def test_results_that_contradict_the_profile_take_its_weight_and_its_candidates():
    points = drawn(40)
    values = [truth(point) for point in points]
    upside_down = [(0.95 - accuracy, cost) for accuracy, cost in values]
    good, bad = belief(history(points, values)), belief(history(points, upside_down))
    pool = [(0, point) for point in {*drawn(500, seed=3)}]

    assert good.insight.profile_weight > 0.9
    assert bad.insight.profile_weight == 0
    assert bad.insight.correlation < 0
    draw = np.random.default_rng(0)
    assert len(bad.chosen(pool, draw)) < len(good.chosen(pool, draw)) / 2
