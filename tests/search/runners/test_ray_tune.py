"""Who proposes to Ray Tune and who stops trials there, by themselves; a whole run is among the cluster's tests."""

from types import SimpleNamespace

import pytest

from benchmarks.scale.sleeper import Sleeper, choices_of, metrics_of
from search.engine import Engine
from search.fidelity import SuccessiveHalving
from search.spec import Bound, Budget, JobSpec
from spaces import InvalidValue, Policy, SearchSpace, SpaceRequest
from tests.search.spaces import INT8

pytestmark = pytest.mark.ray


@pytest.fixture
def sleeper(tmp_path):
    return Sleeper(tmp_path, lambda: None)


@pytest.fixture
def space(sleeper):
    request = SpaceRequest(students=(None,), recovery=(None,))
    return SearchSpace.build(request, sleeper.open(None).inventories, INT8)


def job(**more):
    fields = {"sampler": "tpe", "budget": Budget(12), "objectives": ("accuracy", "size_bytes")}
    return JobSpec("w", **(fields | more))


def score(sleeper, config):
    accuracy, size, latency = sleeper._network.score(*choices_of(Policy.from_dict(config["policy"])))
    found = metrics_of((accuracy, size, latency))
    return {name: metric.value for name, metric in found.items()} | {"time_total_s": 1.0}


def searcher_of(space, spec):
    from search.runners.ray_tune import TautenSearcher

    return TautenSearcher(space, spec)


def asked(searcher, sleeper, count):
    """Policies of trials that run one after the other."""
    found = []
    for index in range(count):
        config = searcher.suggest(f"t{index}")
        found.append(Policy.from_dict(config["policy"]).digest)
        searcher.on_trial_complete(f"t{index}", score(sleeper, config))
    return found


@pytest.mark.parametrize("sampler", ["tpe", "guided", "nsga2"])
def test_one_trial_at_a_time_is_what_a_job_would_propose(space, sleeper, sampler):
    spec = job(sampler=sampler, seed=4)
    engine, expected = Engine(space, spec), []
    for _ in range(12):
        trial = engine.ask()
        expected.append(trial.policy.digest)
        engine.tell(trial.ended(sleeper.evaluate(trial, ())[0], {}))

    assert asked(searcher_of(space, spec), sleeper, 12) == expected


def test_the_budget_is_exact_and_failed_trials_count(space, sleeper):
    searcher = searcher_of(space, job(budget=Budget(3)))
    configs = [searcher.suggest(f"t{index}") for index in range(3)]

    assert searcher.suggest("more") is None
    searcher.on_trial_complete("t0", error=True)
    assert searcher.suggest("more") is None
    searcher.on_trial_complete("t1", {"accuracy": float("nan"), "size_bytes": 1.0})
    searcher.on_trial_complete("t2", score(sleeper, configs[2]))

    assert searcher.suggest("more") == "FINISHED"
    assert [str(trial.state) for trial in searcher.trials] == ["failed", "failed", "completed"]
    assert searcher.trials[1].reason == "it reported no finite number for accuracy"


def test_constraints_are_told_by_how_much_they_are_broken(space):
    searcher = searcher_of(space, job(constraints={"latency_ms": Bound(high=2.0)}))
    searcher.suggest("t")
    searcher.on_trial_complete("t", {"accuracy": 0.5, "size_bytes": 1.0, "latency_ms": 2.5})

    assert searcher.trials[0].violates == {"latency_ms": 0.5}


def test_a_restored_searcher_runs_what_was_out_again_and_goes_on_the_same(space, sleeper, tmp_path):
    spec = job()
    first, again = searcher_of(space, spec), searcher_of(space, spec)
    asked(first, sleeper, 7)
    cut_off = first.suggest("out")
    first.save(tmp_path / "state")

    again.restore(tmp_path / "state")

    assert again.suggest("anew") == cut_off
    for searcher, trial_id in ((first, "out"), (again, "anew")):
        searcher.on_trial_complete(trial_id, score(sleeper, cut_off))
    assert asked(again, sleeper, 3) == asked(first, sleeper, 3)
    assert again.trials == first.trials


def test_a_small_space_ends_the_run_before_the_budget(sleeper, tmp_path):
    layers = {"layer0[1-9]": "keep"}
    request = SpaceRequest.from_dict({"students": [None], "recovery": [None], "layers": layers})
    space = SearchSpace.build(request, sleeper.open(None).inventories, INT8)
    searcher = searcher_of(space, job(budget=Budget(100)))

    assert len(set(asked(searcher, sleeper, space.size))) == space.size
    assert searcher.suggest("more") == "FINISHED"


def test_tunes_single_metric_and_search_space_are_refused(space):
    searcher = searcher_of(space, job())

    assert searcher.set_search_properties(None, None, {})
    assert not searcher.set_search_properties("accuracy", "max", {})
    assert not searcher.set_search_properties(None, None, {"lr": 0.1})


def asha(**more):
    from search.runners.ray_tune import MultiObjectiveASHA

    fields = {"objectives": {"accuracy": "max", "size_bytes": "min"}, "rungs": (1, 3)}
    return MultiObjectiveASHA(**(fields | more))


def reported(scheduler, name, iteration, accuracy, size):
    result = {"training_iteration": iteration, "accuracy": accuracy, "size_bytes": size}
    return scheduler.on_trial_result(None, SimpleNamespace(trial_id=name), result)


def test_a_trial_goes_on_as_the_engines_halving_says_with_accuracy_maximised():
    scheduler, halving = asha(), SuccessiveHalving((1, 3))
    results = [(0.5, 9.0), (0.6, 9.0), (0.4, 9.5), (0.9, 20.0), (0.3, 1.0), (0.35, 9.0)]

    for name, (accuracy, size) in enumerate(results):
        decision = halving.report(name, 0, (-accuracy, size))
        assert reported(scheduler, name, 1, accuracy, size) == decision.upper()
        assert reported(scheduler, name, 2, accuracy, size) == "CONTINUE"  # between rungs

    assert reported(scheduler, 1, 3, 0.6, 9.0) == "STOP"


def test_a_missing_objective_is_worse_than_any_number():
    scheduler = asha(reduction=2)
    reported(scheduler, "a", 1, 0.1, 5.0)

    assert reported(scheduler, "b", 1, None, 5.0) == "STOP"
    assert reported(scheduler, "c", 1, 0.2, 4.0) == "CONTINUE"


def test_a_restored_scheduler_decides_as_the_lost_one_would(tmp_path):
    first, again = asha(), asha()
    for name, accuracy in enumerate((0.5, 0.7, 0.6, 0.2)):
        reported(first, name, 1, accuracy, 1.0)
    first.save(tmp_path / "state")

    again.restore(tmp_path / "state")

    for name, accuracy in ((5, 0.65), (6, 0.1), (7, 0.9)):
        assert reported(again, name, 1, accuracy, 1.0) == reported(first, name, 1, accuracy, 1.0)
    assert again.debug_string() == first.debug_string()


@pytest.mark.parametrize(
    "wrong", [{"objectives": {}}, {"objectives": {"accuracy": "maximize"}}, {"rungs": (3, 1)}]
)
def test_a_scheduler_says_what_is_wrong_with_its_arguments(wrong):
    with pytest.raises(InvalidValue, match="must be"):
        asha(**wrong)
