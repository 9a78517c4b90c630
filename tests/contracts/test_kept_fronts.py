"""The front that is kept as trials end is the front that is found from all of them."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from search.job import JobState
from search.pareto import find_front
from search.spec import Budget, JobSpec
from search.trial import TrialState
from spaces import Metric, UnknownName, metrics_from_dict, metrics_to_dict
from storage import Results
from storage.front import MAX_STEPS
from storage.tables import FrontRow, JobRow, StepRow
from tests.contracts.samples import finished, progress, running

SPEC = JobSpec("digits-cnn", objectives=("accuracy", "size_bytes"), budget=Budget(trials=50))
REFERENCE = {
    "metrics": metrics_to_dict({"accuracy": Metric(1.0, "fraction"), "size_bytes": Metric(8, "byte")})
}
STATES = st.sampled_from([TrialState.COMPLETED] * 6 + [TrialState.INFEASIBLE, TrialState.GATED])
# few values, so that points are often equal or dominated
POINTS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 8), st.sampled_from([0.5, 1.0, 1.0, 1.0]), STATES),
    min_size=1,
    max_size=12,
)


def trial_of(number, point):
    accuracy, size, fidelity, state = point
    metrics = {"accuracy": Metric(accuracy / 5, "fraction"), "size_bytes": Metric(size, "byte")}
    if state is not TrialState.COMPLETED:
        return finished(number, state, metrics={}, artifact=None, violates={})
    return finished(number, metrics=metrics, fidelity=fidelity, artifact=None, violates={})


def found(results, job_id):
    standing = results.standing(job_id)
    front = find_front(
        standing.trials, SPEC.objectives, metrics_from_dict(standing.job.reference.get("metrics", {}))
    )
    return [trial.number for trial in front.trials], front.hypervolume


def expected(trials):
    front = find_front(trials, SPEC.objectives, metrics_from_dict(REFERENCE["metrics"]))
    return [trial.number for trial in front.trials], pytest.approx(front.hypervolume)


@pytest.fixture
def results(shared_database):
    return Results(shared_database)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(points=POINTS, changed=st.data())
def test_it_is_the_same_after_every_trial_and_after_measuring_again(store, worker, results, points, changed):
    job, _ = store.submit(SPEC)
    claim = store.claim(worker)
    claim.set_reference(REFERENCE)
    trials, volumes = [], []
    for number, point in enumerate(points):
        trials.append(trial_of(number, point))
        claim.finish(trials[-1], progress(number + 1, 50))
        assert found(results, job.id) == expected(trials)
        if trials[-1].state.counts:
            volumes.append((number, expected(trials)[1]))
    assert [(step["trial"], step["hypervolume"]) for step in results.steps(job.id)] == volumes
    completed = [trial.number for trial in trials if trial.state is TrialState.COMPLETED]
    if completed:
        number = changed.draw(st.sampled_from(completed))
        trials[number] = trial_of(number, (changed.draw(st.integers(0, 5)), 2, 1.0, TrialState.COMPLETED))
        trials[number] = replace(trials[number], fidelity=points[number][2])
        claim.update_trials([trials[number]])
        assert found(results, job.id) == expected(trials)
        steps = results.steps(job.id)
        assert steps[-1]["hypervolume"] == found(results, job.id)[1]
        if (
            len({fidelity for *_, fidelity, _ in points}) == 1
        ):  # a trial of a higher fidelity begins a new front
            assert [step["hypervolume"] for step in steps] == sorted(step["hypervolume"] for step in steps)
    claim.release(JobState.SUCCEEDED)
    store.delete(job.id)


def test_a_job_of_an_older_version_has_its_front_found_when_it_is_read(
    store, claim, results, shared_database
):
    claim.set_reference(REFERENCE)
    points = [(3, 4, 1.0, TrialState.COMPLETED), (2, 5, 1.0, TrialState.COMPLETED)]
    for number, point in enumerate(points):
        metrics = {**trial_of(number, point).metrics, "latency_ms": Metric(1.0, "ms")}
        claim.finish(replace(trial_of(number, point), metrics=metrics), progress(number + 1))
    with shared_database.writing() as session:
        session.execute(update(JobRow).values(front_rule=0))
        session.execute(delete(FrontRow))
    assert [trial.number for trial in results.standing(claim.job.id).trials] == [0]
    assert len(results.steps(claim.job.id)) == 2


ASKED = ("size_bytes", "accuracy")


def asked(results, job_id):
    """The front of other objectives than the job's, as they are asked for in another order."""
    return [trial.number for trial in find_front(results.contenders(job_id, ASKED), ASKED, {}).trials]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(points=POINTS, reads=st.data())
def test_a_front_of_other_objectives_is_the_same_whenever_it_was_asked_for_before(
    store, worker, results, points, reads
):
    job, _ = store.submit(SPEC)
    claim = store.claim(worker)
    claim.set_reference(REFERENCE)
    trials = []
    for number, point in enumerate(points):
        trials.append(trial_of(number, point))
        claim.start(running(number))
        claim.finish(trials[-1], progress(number + 1, 50))
        if reads.draw(st.booleans()):
            assert asked(results, job.id) == [t.number for t in find_front(trials, ASKED, {}).trials]
    completed = [trial.number for trial in trials if trial.state is TrialState.COMPLETED]
    if completed:
        number = reads.draw(st.sampled_from(completed))
        changed = trial_of(number, (5, 1, 1.0, TrialState.COMPLETED))
        trials[number] = replace(changed, fidelity=points[number][2])
        claim.update_trials([trials[number]])
    assert asked(results, job.id) == [t.number for t in find_front(trials, ASKED, {}).trials]
    claim.release(JobState.SUCCEEDED)
    store.delete(job.id)
    with pytest.raises(UnknownName):
        results.contenders(job.id, ASKED)


def test_the_way_of_a_long_job_is_told_in_few_steps(store, worker, results, shared_database):
    job, _ = store.submit(SPEC)
    rows = [
        {
            "job_id": job.id,
            "number": n,
            "elapsed_s": n * 1.0,
            "hypervolume": n // 3 / 1e4,
            "has_risen": n % 3 == 0,
        }
        for n in range(3 * MAX_STEPS + 2)
    ]
    with shared_database.writing() as session:
        session.execute(insert(StepRow), rows)
    steps = results.steps(job.id)
    assert len(steps) <= MAX_STEPS
    assert (steps[0]["trial"], steps[-1]["trial"]) == (0, rows[-1]["number"])
    assert [step["hypervolume"] for step in steps] == sorted(step["hypervolume"] for step in steps)


def test_trials_as_documents_are_those_of_their_values(store, claim, results):
    claim.finish(finished(0), progress(1))
    claim.start(finished(1).__class__(1, finished(1).policy, finished(1).point, "tpe"))
    claim.set_extras({0: {"accuracy_test": {"value": 0.8}}})
    page = results.page(claim.job.id)
    assert list(page.items) == [
        {**store.trial(claim.job.id, 0).to_dict(), "accuracy_test": {"value": 0.8}},
        store.trial(claim.job.id, 1).to_dict(),
    ]
    assert list(results.every(claim.job.id)) == list(page.items)
    assert results.trials(claim.job.id, [1]) == {1: page.items[1]}
