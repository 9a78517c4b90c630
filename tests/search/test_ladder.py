import random
from dataclasses import replace

import pytest

from search.budget import spent
from search.engine import Engine
from search.fidelity import RUNGS
from search.pareto import find_front
from search.spec import Bound, Budget, JobSpec
from search.trial import PROMOTION, TrialState
from spaces import STUDENT_AXIS, InvalidSpec, Metric, Recovery, SearchSpace, SpaceRequest
from tests.search.spaces import INT8, inventories

REFERENCE = {"accuracy": Metric(0.95, "fraction"), "size_bytes": Metric(2000, "byte")}


SHORT = Recovery()


def space(count=6, recovery=(SHORT,)):
    return SearchSpace.build(SpaceRequest(recovery=recovery), inventories(count), INT8)


def spec(sampler="nsga2", trials=20, **more):
    return JobSpec("w", objectives=("accuracy", "size_bytes"), sampler=sampler, budget=Budget(trials),
                   constraints={"accuracy_drop": Bound(high=0.1)}, fidelity="ladder", **more)  # fmt: skip


def ended(trial, job):
    """The shorter the recovery, the larger the drop; a failure now and then."""
    draw = random.Random(trial.policy.digest)
    if draw.random() < 0.1:
        return replace(trial, state=TrialState.INFEASIBLE, reason="does not run as the policy says")
    severity = sum(index for axis, index in trial.point.items() if axis != STUDENT_AXIS)
    drop = (0.004 * severity + 0.02 * draw.random()) * (3 - 2 * trial.fidelity)
    metrics = {
        "accuracy": Metric(0.95 - drop, "fraction"),
        "accuracy_drop": Metric(drop, "fraction"),
        "size_bytes": Metric(1000 - 30 * severity + draw.random(), "byte"),
    }
    return replace(
        trial, state=TrialState.COMPLETED, metrics=metrics, violates=job.violations(metrics), seconds=1.0
    )


def search(where, job, history=()):
    """All trials of a job whose first ones are known."""
    engine, trials = Engine(where, job, history), list(history)
    while (left := job.budget.trials - spent(trials)) > 1e-9 and not engine.is_exhausted:
        trials.append(ended(engine.ask(left), job))
        engine.tell(trials[-1])
    return trials


@pytest.mark.parametrize("sampler", ["nsga2", "guided"])
def test_a_search_on_a_ladder_that_is_taken_up_again_ends_as_the_undisturbed_one(sampler):
    job, where = spec(sampler, 8), space()
    undisturbed = search(where, job)

    for cut in (1, 7, 12, len(undisturbed) - 2):
        again = search(where, job, undisturbed[:cut])
        assert [(t.number, t.policy, t.fidelity, t.origin) for t in again] == [
            (t.number, t.policy, t.fidelity, t.origin) for t in undisturbed
        ], cut


def test_a_policy_begins_with_calibration_alone_and_climbs_rung_by_rung():
    trials = search(space(), spec())
    reached = {}
    for trial in trials:
        before = reached.setdefault(trial.policy, [])
        assert (trial.origin == PROMOTION) == bool(before)
        before.append(trial.fidelity)

    assert {tuple(rungs) for rungs in reached.values()} >= {(0.0,), (0.0, 0.25), (0.0, 0.25, 1.0)}
    for rungs in reached.values():
        assert rungs == sorted(set(rungs))
        assert set(rungs) <= set(RUNGS)


def test_what_a_trial_evaluates_has_its_share_of_the_recovery():
    trials = search(space(), spec())

    assert {(t.fidelity, t.evaluated.recovery.epochs) for t in trials} == {
        (0.0, 0.0),
        (0.25, 0.25),
        (1.0, 1.0),
    }
    assert {t.policy.recovery for t in trials} == {Recovery()}


def test_survivors_are_promoted_to_the_full_fidelity_before_the_budget_ends():
    job = spec(trials=20)
    trials = search(space(), job)
    tail = trials[-3:]
    full = [t for t in trials if t.fidelity == 1]

    assert spent(trials) < job.budget.trials + 1
    assert {t.fidelity for t in tail} == {1.0}
    front = find_front(trials, job.objectives, REFERENCE, job.constraints)
    assert {t.fidelity for t in front.trials} == {1.0}
    assert len(full) >= 6


def test_more_policies_are_tried_than_the_budget_has_trials():
    trials = search(space(), spec(trials=20))

    assert len({t.policy for t in trials}) > 25


def test_a_policy_that_trains_nothing_is_evaluated_once():
    trials = search(space(recovery=(None,)), spec(trials=8))

    assert {t.fidelity for t in trials} == {1.0}
    assert PROMOTION not in {t.origin for t in trials}
    assert len(trials) == 8


def test_a_space_that_is_used_up_ends_once_its_survivors_are_promoted():
    where = space(1)
    trials = search(where, spec(trials=100))
    by_policy = {t.policy: t for t in trials}

    assert len(by_policy) == where.size
    members = find_front(trials, ("accuracy", "size_bytes"), REFERENCE).trials
    assert members
    assert {t.fidelity for t in members} == {1.0}


def test_workers_side_by_side_are_given_different_work():
    job, where = spec("guided", 20), space()
    engine = Engine(where, job)
    running, seen = [engine.ask() for _ in range(3)], []
    for _ in range(30):
        trial = ended(running.pop(0), job)
        engine.tell(trial)
        running.append(engine.ask())
        seen.append((trial.policy, trial.fidelity))

    assert len(set(seen)) == len(seen)
    assert any(fidelity == 0.25 for _, fidelity in seen)


def test_a_ladder_needs_accuracy_among_the_objectives():
    with pytest.raises(InvalidSpec, match="compares by accuracy") as caught:
        JobSpec("w", objectives=("size_bytes",), fidelity="ladder")
    assert caught.value.faults[0].pointer == "/fidelity"
