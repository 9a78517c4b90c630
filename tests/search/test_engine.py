import random
from dataclasses import replace

import pytest

from search.anchors import anchors
from search.engine import SAMPLER_MAKERS, Engine
from search.samplers import SAMPLERS
from search.spec import Bound, Budget, JobSpec
from search.trial import TrialState
from spaces import (
    STUDENT_AXIS,
    Bits,
    InvalidSpec,
    Metric,
)
from tests.search.spaces import two_student_space as space


def spec(sampler="tpe", trials=40, seed=0):
    constraints = {"accuracy_drop": Bound(high=0.1)}
    return JobSpec("w", objectives=("accuracy", "size_bytes"), constraints=constraints, sampler=sampler,
                   budget=Budget(trials), seed=seed)  # fmt: skip


def ended(trial, job):
    """A deterministic evaluation, with a failure now and then."""
    draw = random.Random(trial.policy.digest)
    if trial.number % 9 == 7:
        return replace(trial, state=TrialState.INFEASIBLE, reason="does not run as the policy says")
    severity = sum(index for axis, index in trial.point.items() if axis != STUDENT_AXIS)
    drop = 0.004 * severity + 0.02 * draw.random()
    metrics = {
        "accuracy": Metric(0.95 - drop, "fraction"),
        "accuracy_drop": Metric(drop, "fraction"),
        "size_bytes": Metric(1000 - 30 * severity, "byte"),
    }
    return replace(
        trial, state=TrialState.COMPLETED, metrics=metrics, violates=job.violations(metrics), seconds=1.0
    )


def run(engine, job, count):
    trials = []
    for _ in range(count):
        trials.append(ended(engine.ask(), job))
        engine.tell(trials[-1])
    return trials


def test_every_named_sampler_can_be_made():
    assert set(SAMPLERS) == set(SAMPLER_MAKERS)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_an_engine_that_was_rebuilt_proposes_what_the_lost_one_would_have(sampler):
    job, where = spec(sampler), space()
    undisturbed = run(Engine(where, job), job, 40)
    for cut in (0, 1, 5, 8, 9, 17, 26, 39):
        rest = run(Engine(where, job, undisturbed[:cut]), job, 40 - cut)
        assert [t.policy for t in rest] == [t.policy for t in undisturbed[cut:]], cut
        assert [(t.number, t.sampler_state) for t in rest] == [
            (t.number, t.sampler_state) for t in undisturbed[cut:]
        ]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_seed_decides_what_is_proposed(sampler):
    first, again, other = (
        [t.policy.digest for t in run(Engine(space(), job), job, 16)]
        for job in (spec(sampler, seed=1), spec(sampler, seed=1), spec(sampler, seed=2))
    )

    assert first == again != other


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_policy_is_proposed_twice_and_numbers_rise_by_one(sampler):
    job = spec(sampler)
    trials = run(Engine(space(3, students=False), job), job, 60)

    assert [trial.number for trial in trials] == list(range(60))
    assert len({trial.policy for trial in trials}) == 60


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_small_space_is_used_up_each_policy_once(sampler):
    job, where = spec(sampler), space(2, students=False)
    engine = Engine(where, job)

    trials = run(engine, job, where.size)

    assert where.size == 16
    assert len({trial.policy for trial in trials}) == 16
    assert engine.is_exhausted
    with pytest.raises(StopIteration):
        engine.ask()


def test_any_sampler_of_optuna_can_be_named():
    job = spec("optuna:NSGAIIISampler")
    trials = run(Engine(space(), job), job, 12)

    assert {trial.origin for trial in trials[8:]} == {"optuna:NSGAIIISampler"}
    assert len({trial.policy for trial in trials}) == 12


def test_a_sampler_class_of_any_package_can_be_named():
    job = spec("optuna.samplers._random:RandomSampler")
    trials = run(Engine(space(), job), job, 12)

    assert {trial.origin for trial in trials[8:]} == {"optuna.samplers._random:RandomSampler"}
    assert len({trial.policy for trial in trials}) == 12


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("optuna:MagicSampler", "has no sampler 'MagicSampler'"),
        ("optuna:BaseSampler", "has no sampler"),
        ("optuna:GridSampler", "cannot be used"),
        ("optuna:CmaEsSampler", "cannot be used"),
        ("nowhere.to_be_found:Sampler", "cannot be imported"),
        ("optuna.samplers:Nothing", "cannot be imported"),
        ("json:JSONDecoder", "is no sampler"),
    ],
)
def test_a_sampler_that_cannot_search_here_is_refused_with_the_reason(name, why):
    with pytest.raises(InvalidSpec, match=why) as caught:
        Engine(space(), spec(name))
    assert caught.value.faults[0].pointer == "/sampler"


def test_anchors_come_first_whoever_samples():
    where = space()
    expected = [where.policy(point) for point in anchors(where, 40)]

    for sampler in SAMPLERS:
        trials = run(Engine(where, spec(sampler)), spec(sampler), 10)
        assert [t.policy for t in trials[: len(expected)]] == expected
        assert {t.origin for t in trials[: len(expected)]} == {"anchor"}
        assert {t.origin for t in trials[len(expected) :]} == {sampler}


def test_anchors_are_uniform_and_each_is_another_policy():
    where = space()
    points = anchors(where, 40)

    for point in points:
        student = where.students[point[STUDENT_AXIS]]
        assert len({axis.choices[point[axis.name]] for axis in student.prune.values()}) == 1
        assert len({axis.choices[point[axis.name]] for axis in student.bits.values()}) == 1
    assert len({where.policy(point) for point in points}) == len(points) == 8


def test_all_in_int8_and_half_the_channels_in_int8_are_among_the_first_anchors():
    where = space(students=False)
    found = []
    for point in anchors(where, 40)[:4]:
        ratios = {axis.choices[point[axis.name]] for axis in where.students[0].prune.values()}
        bits = {axis.choices[point[axis.name]] for axis in where.students[0].bits.values()}
        found.append((ratios, bits))

    assert ({0.0}, {Bits(8, 8, "static")}) in found
    assert ({0.5}, {Bits(8, 8, "static")}) in found


@pytest.mark.parametrize(("budget", "count"), [(1, 1), (3, 1), (12, 4), (100, 8)])
def test_anchors_take_a_third_of_the_budget_at_most(budget, count):
    assert len(anchors(space(), budget)) == count
