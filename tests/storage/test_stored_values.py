import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.trial import TrialState
from storage import Database, Store, WorkerLock
from tests.contracts.samples import SPEC, finished, progress
from tests.strategies import job_specs, policies

SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def store(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/tauten.db")
    database.upgrade()
    yield Store(database)
    database.close()


@SOME
@given(spec=job_specs)
def test_any_specification_comes_back(store, spec):
    job, _ = store.submit(spec)
    assert store.job(job.id).spec == spec


@pytest.fixture
def claim(store, tmp_path):
    store.submit(SPEC)
    with WorkerLock(tmp_path) as worker:
        yield store.claim(worker)


@SOME
@given(
    policy=policies,
    state=st.sampled_from([state for state in TrialState if state.is_final]),
    point=st.dictionaries(st.text(), st.integers(0, 2**31)),
    executed_as=st.dictionaries(st.text(), st.text()),
    seconds=st.floats(0, 1e9),
)
def test_any_trial_comes_back(store, claim, policy, state, point, executed_as, seconds):
    number = len(store.all_trials(claim.job.id))
    found = {"point": point, "executed_as": executed_as, "seconds": seconds}
    trial = finished(number, state, policy=policy, **found)
    claim.finish(trial, progress(number))
    assert store.trial(claim.job.id, number) == trial
    assert store.trial(claim.job.id, number).policy.digest == policy.digest
