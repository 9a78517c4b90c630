import math

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState, create_trial

from search.samplers import GuidedSampler
from search.samplers.guided import Branch, Problem
from search.samplers.guided.costs import LearnedCosts, TableCosts
from search.samplers.guided.knowledge import checkpoint_size

LEVELS = 4


def sensitivities(axes):
    return np.random.default_rng(7).lognormal(0, 1.2, axes)


def truth(point):
    """Accuracy and cost of a point: layers differ in sensitivity and in cost, and losses are superadditive."""
    severity = np.array(point) / (LEVELS - 1)
    weights, sizes = sensitivities(len(point)), np.random.default_rng(8).lognormal(0, 1, len(point))
    loss = float((weights * severity**2).sum() / weights.sum())
    return 0.95 * math.exp(-2 * loss * (1 + loss)), float(1 - 0.9 * (sizes * severity).sum() / sizes.sum())


def problem(axes=12, order=None, **more):
    """The truth's profile, or that of other layers where an order is given."""
    weights = sensitivities(axes)[list(range(axes)) if order is None else order]
    sizes = np.random.default_rng(8).lognormal(0, 1, axes)
    severity = np.arange(LEVELS) / (LEVELS - 1)
    tables = [-0.9 * size / sizes.sum() * severity[:, None] for size in sizes]
    losses = tuple(2 * weight / weights.sum() * severity**2 for weight in weights)
    names = tuple(f"x{axis}" for axis in range(axes))
    branch = Branch(names, losses, TableCosts(tables, np.ones(1)), 0.05)
    return Problem((branch,), is_profiled=True, scales=(1.0,), best=0.95, **more)


def ask(trial, axes=12):
    return tuple(trial.suggest_int(f"x{axis}", 0, LEVELS - 1) for axis in range(axes))


def study_of(sampler, directions=("maximize", "minimize")):
    return optuna.create_study(directions=list(directions), sampler=sampler)


def run(sampler, count, axes=12):
    study = study_of(sampler)
    study.optimize(lambda trial: truth(ask(trial, axes)), n_trials=count)
    return study


def points(study):
    return [tuple(trial.params.values()) for trial in study.trials]


def hypervolume(study):
    import moocore

    values = np.array([[1 - t.values[0] / 0.95, t.values[1]] for t in study.trials if t.values])
    return moocore.hypervolume(values[(values < 1).all(axis=1)], ref=np.ones(2))


@pytest.fixture(autouse=True, scope="module")
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def test_the_same_seed_proposes_the_same_and_another_one_something_else():
    first, again, other = (points(run(GuidedSampler(problem(), seed=seed), 22)) for seed in (1, 1, 2))

    assert first == again != other


def test_a_study_rebuilt_after_any_trial_is_continued_as_if_nothing_had_happened():
    whole = run(GuidedSampler(problem(), seed=3), 26)
    for cut in (0, 3, 17, 21, 24):
        study = study_of(GuidedSampler(problem(), seed=3))
        study.add_trials(whole.trials[:cut])
        study.optimize(lambda trial: truth(ask(trial)), n_trials=26 - cut)
        assert points(study) == points(whole), cut


def test_a_good_profile_needs_far_fewer_trials_than_chance():
    guided = run(GuidedSampler(problem(), seed=0), 20)
    chance = run(optuna.samplers.RandomSampler(seed=0), 120)

    assert hypervolume(guided) > hypervolume(chance) * 1.1


def test_feedback_makes_up_for_a_profile_of_the_wrong_layers_and_its_weight_falls():
    ranked = np.argsort(sensitivities(12))
    wrong = [int(ranked[11 - rank]) for rank in np.argsort(ranked)]
    sampler = GuidedSampler(problem(order=wrong), seed=0)
    good = GuidedSampler(problem(), seed=0)

    misled, led = run(sampler, 45), run(good, 45)

    assert sampler.insight.profile_weight < good.insight.profile_weight
    assert good.insight.correlation > 0.9
    assert hypervolume(misled) > 0.85 * hypervolume(led)


def test_nothing_need_be_known_in_a_study_of_ones_own():
    guided = run(GuidedSampler(seed=0), 40)

    assert hypervolume(guided) > hypervolume(run(optuna.samplers.RandomSampler(seed=0), 80))


def test_categories_steps_and_one_objective_are_understood():
    def objective(trial):
        level = trial.suggest_categorical("level", ["mild", "middle", "severe"])
        width = trial.suggest_int("width", 16, 64, step=16)
        rate = trial.suggest_float("rate", 0.0, 1.0)
        return {"mild": 0.0, "middle": 1.0, "severe": 3.0}[level] + width / 16 + rate

    study = study_of(GuidedSampler(seed=0, startup=4), ["minimize"])
    study.optimize(objective, n_trials=14)

    assert study.best_params["level"] == "mild"
    assert study.best_params["width"] == 16
    assert len({trial.params["rate"] for trial in study.trials}) == 14


def test_failed_trials_and_nan_poison_nothing_and_are_not_repeated():
    study = study_of(GuidedSampler(problem(), seed=0))
    failing = []

    def objective(trial):
        point = ask(trial)
        if trial.number % 4 == 1:
            failing.append(point)
            return float("nan"), 0.5
        if trial.number % 4 == 2:
            failing.append(point)
            raise ValueError("does not run as the policy says")
        return truth(point)

    study.optimize(objective, n_trials=40, catch=ValueError)

    asked = points(study)
    assert len(set(asked)) == 40
    assert sum(trial.state is TrialState.FAIL for trial in study.trials) == len(failing) == 20
    assert hypervolume(study) > 0.9 * hypervolume(run(GuidedSampler(problem(), seed=0), 20))


def test_a_choice_that_always_fails_is_given_up():
    study = study_of(GuidedSampler(problem(), seed=0))

    def objective(trial):
        point = ask(trial)
        if point[0] == LEVELS - 1:
            raise ValueError("no kernel")
        return truth(point)

    study.optimize(objective, n_trials=50, catch=ValueError)

    late = study.trials[30:]
    assert sum(trial.state is TrialState.FAIL for trial in late) <= 2


def test_workers_at_the_same_time_are_given_different_points_that_fill_the_front():
    study = run(GuidedSampler(problem(), seed=0), 24)
    waiting = [study.ask() for _ in range(5)]

    asked = [ask(trial) for trial in waiting]

    assert len(set(asked)) == 5
    assert not set(asked) & {tuple(trial.params.values()) for trial in study.trials[:24]}


def test_constraints_come_first():
    free = run(GuidedSampler(problem(), seed=0), 40)
    bound = run(GuidedSampler(problem(bound=0.85), seed=0), 40)

    def share(study):
        return np.mean([trial.values[0] >= 0.85 for trial in study.trials[20:]])

    assert share(bound) > share(free)
    assert share(bound) >= 0.6


@pytest.mark.parametrize("axes", [1, 500])
def test_one_layer_and_five_hundred_work(axes):
    study = study_of(GuidedSampler(problem(axes), seed=0, startup=6))
    study.optimize(lambda trial: truth(ask(trial, axes)), n_trials=9)

    assert all(trial.state is TrialState.COMPLETE for trial in study.trials)
    assert len(set(points(study))) == min(9, LEVELS**axes)


def test_a_space_of_one_point_is_proposed_again_and_again():
    branch = Branch(("x",), (np.zeros(1),), LearnedCosts([1], 1))
    study = study_of(GuidedSampler(Problem((branch,)), seed=0))
    study.optimize(lambda trial: (0.5, 1.0 + trial.suggest_int("x", 0, 0)), n_trials=8)

    assert [trial.params["x"] for trial in study.trials] == [0] * 8


def test_accuracies_that_never_differ_are_no_fault():
    study = study_of(GuidedSampler(problem(), seed=0))
    study.optimize(lambda trial: (0.5, truth(ask(trial))[1]), n_trials=24)

    assert min(trial.values[1] for trial in study.trials) < 0.3


def test_trials_of_other_parameters_are_passed_over():
    study = study_of(GuidedSampler(problem(), seed=0))
    other = {"y": IntDistribution(0, 3)}
    study.add_trial(create_trial(params={"y": 1}, distributions=other, values=[0.5, 0.5]))
    study.optimize(lambda trial: truth(ask(trial)), n_trials=3)

    assert len(study.trials) == 4


def test_state_is_derived_after_whole_steps():
    assert [checkpoint_size(count) for count in (0, 3, 4, 19, 20, 29, 119, 310, 355, 2_499, 2_500)] == [
        0, 0, 4, 16, 20, 25, 110, 300, 350, 2_000, 2_500,
    ]  # fmt: skip
