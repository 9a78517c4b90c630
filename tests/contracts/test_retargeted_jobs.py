"""Jobs that score the trials of another, on both databases."""

from dataclasses import replace

import pytest

from search.job import JobState, Keep
from search.source import Source
from search.spec import Budget
from search.trial import TrialState
from spaces import Conflict, InvalidValue, Metric
from storage import IdempotencyMismatch
from tests.contracts.samples import ARTIFACT, SPEC, finished, progress, running

PROVENANCE = {"deployment": {"channel_multiple": 8}}


def aim(job, count):
    return replace(
        job.spec,
        target="a100",
        budget=Budget(count),
        source=Source(job.id, job.spec.target, "all", PROVENANCE),
    )


@pytest.fixture
def ended(claim):
    """A job that succeeded: trials 0 and 2 completed, 1 is infeasible; 2 is better at nothing than 0."""
    better = finished(0).metrics | {"latency_ms": Metric(1.0, "ms")}
    for number, changes in (
        (0, {"metrics": better, "violates": {}}),
        (1, {"state": TrialState.INFEASIBLE, "artifact": None, "reason": "no"}),
        (2, {"metrics": better | {"latency_ms": Metric(2.0, "ms")}}),
    ):
        claim.start(running(number))
        claim.finish(finished(number, **changes), progress(number + 1))
    claim.release(JobState.SUCCEEDED)
    return claim.job.id


def test_completed_trials_wait_in_the_new_job_with_their_numbers_artifacts_and_what_they_scored(
    store, ended, worker
):
    job, is_new = store.retarget(ended, aim)

    assert is_new
    assert (job.state, job.spec.target, job.progress.total) == ("queued", "a100", 2)
    assert job.spec.source == Source(ended, "local-cpu", "all", PROVENANCE)
    trials = store.all_trials(job.id)
    assert [trial.number for trial in trials] == [0, 2]
    for trial, origin in zip(trials, (store.trial(ended, 0), store.trial(ended, 2)), strict=True):
        assert (trial.state, trial.metrics, trial.executed_as, trial.violates) == ("waiting", {}, {}, {})
        assert (trial.policy, trial.artifact) == (origin.policy, ARTIFACT)
    waiting = store.claim(worker).waiting()
    assert [trial for trial, _ in waiting] == trials
    before = waiting[1][1]
    assert before["target"] == "local-cpu"
    assert before["metrics"]["latency_ms"]["value"] == 2.0
    assert before["executed_as"] == {"stem.conv": "int8", "head.fc": "float32"}


def test_the_job_that_ended_tells_where_its_trials_are_scored(store, ended):
    job, _ = store.retarget(ended, aim)
    event = store.events(ended)[-1]
    assert (event.kind, event.data) == ("job.retargeted", {"job": job.id, "target": "a100", "trials": 2})


@pytest.mark.parametrize(("wanted", "numbers"), [("front", [0]), ((2,), [2]), ((2, 0), [0, 2])])
def test_some_trials_can_be_chosen(store, ended, wanted, numbers):
    job, _ = store.retarget(ended, aim, trials=wanted)
    assert [trial.number for trial in store.all_trials(job.id)] == numbers
    assert job.progress.total == len(numbers)


@pytest.mark.parametrize(("wanted", "named"), [((0, 1, 77), "1, 77$"), ((), "is empty")])
def test_a_trial_that_cannot_be_scored_is_named_and_nothing_is_stored(store, ended, wanted, named):
    with pytest.raises(InvalidValue, match=f"/trials.*{named}"):
        store.retarget(ended, aim, trials=wanted)
    assert len(store.jobs().items) == 1
    assert store.events(ended)[-1].kind == "job.state"


def test_a_job_that_still_runs_is_refused(store, claim):
    with pytest.raises(Conflict, match="is running; its trials can be scored elsewhere once it has ended"):
        store.retarget(claim.job.id, aim)


def test_a_job_without_artifacts_is_refused(store, worker):
    store.submit(SPEC, keep=Keep.NONE)
    claim = store.claim(worker)
    claim.finish(finished(0), progress(1))
    claim.release(JobState.SUCCEEDED)
    with pytest.raises(Conflict, match="no completed trial whose artifact it keeps"):
        store.retarget(claim.job.id, aim)


def test_the_job_that_ended_may_be_deleted_meanwhile(store, ended, worker):
    job, _ = store.retarget(ended, aim)
    assert store.delete(ended) == []  # the waiting trials have the artifact, too
    claim = store.claim(worker)
    assert [trial.number for trial, _ in claim.waiting()] == [0, 2]
    assert store.artifact(ARTIFACT.digest) == ARTIFACT
    claim.release(JobState.CANCELLED)
    assert store.delete(job.id) == [ARTIFACT]


def test_what_was_scored_stays_and_the_rest_goes_on_after_a_death(store, ended, worker, colleague):
    store.retarget(ended, aim)
    claim = store.claim(worker)
    for trial, _ in claim.waiting():
        claim.start(replace(trial, state=TrialState.RUNNING))
    first = claim.waiting()[0][0]
    claim.finish(replace(first, state=TrialState.COMPLETED, metrics=finished(0).metrics), progress(1, 2))
    worker.close()

    again = store.claim(colleague)

    assert [trial.number for trial in again.trials()] == [0]
    ((left, before),) = again.waiting()
    assert (left.number, left.state) == (2, TrialState.LOST)
    assert before["metrics"]["latency_ms"]["value"] == 2.0


def test_later_findings_stand_beside_what_was_scored_before(store, ended, worker):
    job, _ = store.retarget(ended, aim, trials=(0,))
    claim = store.claim(worker)
    claim.finish(finished(0), progress(1, 1))
    claim.set_extras({0: {"accuracy_test": {"value": 0.9}}})
    claim.set_extras({0: {"accuracy_test": {"value": 0.8}}})
    extras = store.extras(job.id)[0]
    assert extras["accuracy_test"] == {"value": 0.8}
    assert extras["before"]["target"] == "local-cpu"


def test_a_key_makes_one_job_and_not_one_of_other_trials(store, ended):
    def front(job, count):
        return replace(aim(job, count), source=Source(job.id, "local-cpu", (0, 2), PROVENANCE))

    job, _ = store.retarget(ended, aim, idempotency_key="once")
    assert store.retarget(ended, aim, idempotency_key="once") == (job, False)
    assert [trial.number for trial in store.all_trials(job.id)] == [0, 2]
    with pytest.raises(IdempotencyMismatch):
        store.retarget(ended, front, trials=(0, 2), idempotency_key="once")


def test_its_budget_cannot_be_raised(store, ended):
    job, _ = store.retarget(ended, aim)
    with pytest.raises(Conflict, match="scores the trials of another job"):
        store.raise_budget(job.id, 50)


def test_a_retargeted_job_can_be_retargeted_again(store, ended, worker):
    first, _ = store.retarget(ended, aim, trials=(0,))
    claim = store.claim(worker)
    claim.finish(finished(0), progress(1, 1))
    claim.release(JobState.SUCCEEDED)
    second, _ = store.retarget(first.id, aim)
    ((trial, before),) = store.claim(worker).waiting()
    assert (trial.number, before["target"], second.spec.source.job) == (0, "a100", first.id)
