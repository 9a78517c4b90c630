from dataclasses import replace

import pytest

from search.finalists import fresh_seeds, most_finalists, next_finalist, repeated
from search.optimism import Optimism
from search.pareto import find_front
from search.runners.finishing import Finishing
from search.spec import Bound, Budget, JobSpec
from search.trial import ArtifactRef, Trial, TrialState
from spaces import CompressionError, LayerPolicy, Metric, Policy, Prune, Recovery

OBJECTIVES = ("accuracy", "size_bytes", "latency_ms")
WITHIN = {"accuracy_drop": Bound(high=0.01)}
REFERENCE = {
    name: Metric(value, "") for name, value in (("accuracy", 0.99), ("size_bytes", 99), ("latency_ms", 9))
}


def drop_of(value):
    return {"accuracy": Metric(0.99 - value, "fraction"), "accuracy_drop": Metric(value, "fraction")}


def trial(number, drop, size, recovery=Recovery()):  # noqa: B008
    metrics = drop_of(drop) | {"size_bytes": Metric(size, "byte"), "latency_ms": Metric(size / 10, "ms")}
    policy = Policy(layers={"a": LayerPolicy(Prune(number / 100))}, recovery=recovery)
    return Trial(number, policy, {}, "tpe", state=TrialState.COMPLETED, metrics=metrics,
                 artifact=ArtifactRef(f"sha256:{number}", size))  # fmt: skip


def front(trials, constraints=WITHIN):
    return find_front(trials, OBJECTIVES, REFERENCE, constraints)


TRIALS = [trial(1, 0.010, 20), trial(2, 0.008, 40), trial(3, 0.0, 80)]


def test_the_chosen_trial_is_the_first_finalist_and_the_next_follows_where_it_does_not_hold():
    assert next_finalist(front(TRIALS)) == 1

    broken = [repeated(TRIALS[0], [drop_of(0.012), drop_of(0.02)]), *TRIALS[1:]]
    assert broken[0].metrics["accuracy_drop"].again == pytest.approx(0.016)
    assert broken[0].metrics["accuracy_drop"].value == 0.010
    assert front(broken).chosen == next_finalist(front(broken)) == 2

    held = [broken[0], repeated(TRIALS[1], [drop_of(0.009)]), TRIALS[2]]
    assert front(held).chosen == 2
    assert next_finalist(front(held)) is None


def test_where_no_finalist_holds_the_nearest_miss_is_chosen_by_the_honest_numbers():
    broken = [repeated(TRIALS[0], [drop_of(0.05)]), repeated(TRIALS[1], [drop_of(0.02)])]

    found = front(broken)
    assert (found.chosen, found.constraint_binding, found.constraints_met) == (2, "accuracy_drop", False)


def test_a_policy_that_trains_nothing_is_no_finalist():
    assert next_finalist(front([trial(1, 0.0, 20, recovery=None)])) is None
    assert next_finalist(front([])) is None


@pytest.mark.parametrize(("budget", "most"), [(1, 1), (6, 1), (20, 4), (1000, 4)])
def test_finalists_are_few_and_none_where_no_accuracy_is_asked_for(budget, most):
    assert most_finalists(JobSpec("w", constraints=WITHIN, budget=Budget(budget))) == most
    assert most_finalists(JobSpec("w", constraints={"size_bytes": Bound(high=9)}, budget=Budget(budget))) == 0


def test_fresh_seeds_are_not_the_jobs_and_differ():
    seeds = {seed for number in range(50) for seed in fresh_seeds(7, number)}

    assert len(seeds) == 100
    assert 7 not in seeds
    assert max(seeds) < 2**31
    assert fresh_seeds(7, 3) == fresh_seeds(7, 3) != fresh_seeds(8, 3)


class Bench:
    """Answers as the evaluating process does, from what each trial is worth."""

    def __init__(self, again, test):
        self.again, self.test, self.repeats = again, test, []

    def repeat(self, trial, seed):
        self.repeats.append((trial.number, seed))
        if trial.number not in self.again:
            raise CompressionError("the loss became nan")
        return drop_of(self.again[trial.number])

    def finish(self, paths):
        return {
            number: {
                "latency_ms": Metric(1.0 if number < 0 else number, "ms"),
                "accuracy_test": Metric(0.98 - self.test.get(number, 0.0), "fraction"),
                "accuracy_drop_test": Metric(self.test.get(number, 0.0), "fraction"),
            }
            for number in (*paths, -1)
        }


class Ledger:
    """What is written at the end of a job."""

    def __init__(self):
        self.job, self.notes, self.extras = replace_job({}), [], {}

    def update_trials(self, trials):
        self.updated = trials

    def set_extras(self, extras):
        self.extras |= extras

    def set_reference(self, reference):
        self.job = replace_job(reference)

    def note(self, kind, data):
        self.notes.append((kind, data))


def replace_job(reference):
    return type("Job", (), {"reference": reference})()


class Artifacts:
    def path(self, digest):
        return digest


def finished(again, test, budget=20, may_repeat=lambda: True):
    spec = JobSpec("w", objectives=OBJECTIVES, constraints=WITHIN, budget=Budget(budget))
    trials, ledger, bench = {t.number: t for t in TRIALS}, Ledger(), Bench(again, test)
    finishing = Finishing(ledger, Artifacts(), bench, spec, trials, lambda: front(list(trials.values())))
    finishing.run(may_repeat)
    return trials, ledger, bench


def test_the_choice_moves_on_until_a_finalist_holds_and_the_optimism_is_told():
    trials, ledger, bench = finished({1: 0.02, 2: 0.009}, {1: 0.03, 2: 0.015, 3: 0.001})

    assert [number for number, _ in bench.repeats] == [1, 1, 2, 2]
    assert front(list(trials.values())).chosen == 2
    told = dict(ledger.notes)["front.optimism"]
    assert told == ledger.job.reference["optimism"]
    assert (told["trial"], told["validation"], told["again"], told["test"]) == (2, 0.008, 0.009, 0.015)
    assert told["gap"] == pytest.approx(0.007)
    assert told["front_gap"] == pytest.approx((0.02 + 0.007 + 0.001) / 3)
    assert told["holds"] is False
    assert ledger.extras[2]["accuracy_drop_test"]["value"] == 0.015
    assert ledger.job.reference["accuracy_test"]["value"] == 0.98


def test_a_small_budget_has_one_finalist_alone():
    _, _, bench = finished({1: 0.02, 2: 0.02}, {}, budget=6)

    assert [number for number, _ in bench.repeats] == [1, 1]


def test_a_finalist_that_cannot_be_trained_again_is_told_of_and_keeps_its_own_numbers():
    trials, ledger, _ = finished({}, {1: 0.0})

    assert [kind for kind, _ in ledger.notes] == ["finalist.skipped", "front.optimism"]
    assert trials[1].metrics["accuracy_drop"].again is None
    assert dict(ledger.notes)["front.optimism"]["again"] is None


def test_without_time_no_finalist_is_trained_again():
    _, ledger, bench = finished({1: 0.0}, {1: 0.0}, may_repeat=lambda: False)

    assert bench.repeats == []
    assert dict(ledger.notes)["front.optimism"]["holds"] is True


def test_optimism_is_unknown_until_the_test_split_was_read():
    drops = {1: (Metric(0.01, "fraction"), Metric(0.02, "fraction"))}

    assert Optimism.of(None, drops, None) is None
    assert Optimism.of(2, drops, None) is None
    assert Optimism.of(1, drops, None).holds is None
    assert Optimism.of(1, drops, Bound(high=0.02)).holds is True
    assert Optimism.of(1, drops, replace(WITHIN["accuracy_drop"])).holds is False
