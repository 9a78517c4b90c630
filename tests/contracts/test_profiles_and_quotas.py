from dataclasses import replace

import pytest

from search.job import JobState, Keep
from spaces import InvalidValue, LeaseLost, UnknownName
from storage import KeyRing, QuotaExceeded, Results, Scope, StaleWrite, WorkerList
from storage.workers import WorkerState
from tests.contracts.samples import ARTIFACT, SPEC, finished, progress

PROFILE = {"layers": {"stem.conv": [0.1, 0.2]}, "cost": 4.5}


def test_a_profile_is_stored_once_and_used_by_every_job(store, worker, shared_database):
    results = Results(shared_database)
    for _ in range(3):
        store.submit(SPEC)
    first, second, third = (store.claim(worker) for _ in range(3))
    assert first.stored_profile("sha256:aa") is None
    assert results.profile(first.job.id) is None
    first.store_profile("sha256:aa", PROFILE)
    assert second.stored_profile("sha256:aa") == PROFILE
    assert results.profile(first.job.id) == results.profile(second.job.id) == PROFILE
    assert results.profile(third.job.id) is None
    second.store_profile("sha256:aa", {"cost": 1})
    assert results.profile(first.job.id) == {"cost": 1}
    with pytest.raises(UnknownName):
        results.profile("nowhere")


def test_a_worker_that_lost_its_job_stores_no_profile(store, worker, stranger):
    store.submit(SPEC)
    stale = store.claim(stranger, lease_s=0)
    fresh = store.claim(worker)
    with pytest.raises(LeaseLost):
        stale.store_profile("sha256:aa", PROFILE)
    assert fresh.stored_profile("sha256:aa") is None


def test_the_job_of_the_highest_priority_is_taken_first_and_of_these_the_oldest(store, worker):
    submitted = [store.submit(SPEC, priority=priority)[0].id for priority in (0, 5, -1, 5)]
    taken = [store.claim(worker).job.id for _ in range(4)]
    assert taken == [submitted[1], submitted[3], submitted[0], submitted[2]]


def test_a_priority_beyond_reason_is_refused(store):
    with pytest.raises(InvalidValue, match="/priority"):
        store.submit(SPEC, priority=101)


def test_a_worker_takes_the_jobs_of_its_targets_alone(store, worker):
    job, _ = store.submit(SPEC)
    assert store.claim(worker, offers=("other",)) is None
    assert store.claim(worker, offers=("other", SPEC.target)).job.id == job.id


def test_a_job_that_has_changed_is_not_written_over(store):
    job, _ = store.submit(SPEC)
    paused = store.pause(job.id, revisions=[job.revision])
    assert paused.revision > job.revision
    with pytest.raises(StaleWrite, match=f"revision {paused.revision}"):
        store.resume(job.id, revisions=[job.revision])
    assert store.job(job.id) == paused
    assert store.resume(job.id, revisions=[0, paused.revision]).state == "queued"


@pytest.fixture
def keys(shared_database):
    return KeyRing(shared_database)


def test_a_key_is_known_by_its_text_until_it_is_revoked(keys, store):
    assert keys.is_empty()
    key, text = keys.create("robot", Scope.WRITE)
    assert keys.authenticate(text) == key
    assert keys.authenticate(text[:-1] + ("A" if text[-1] != "A" else "B")) is None
    assert [keys.authenticate(wrong) for wrong in ("", "tk_", f"tk_{key.id}_", text.upper())] == [None] * 4
    assert not keys.is_empty()
    assert keys.revoke(key.id).revoked_at is not None
    assert keys.authenticate(text) is None
    assert keys.is_empty()
    assert [known.id for known in keys.all()] == [key.id]
    with pytest.raises(UnknownName):
        keys.revoke("nobody")


def test_a_secret_is_nowhere_in_the_database(keys, store, shared_database):
    from sqlalchemy import text as sql

    _, text = keys.create("robot", Scope.READ)
    secret = text.split("_", 2)[2]
    cookie = keys.open_session(keys.authenticate(text))
    with shared_database.reading() as session:
        stored = [
            *session.execute(sql("SELECT * FROM api_keys")),
            *session.execute(sql("SELECT * FROM sessions")),
        ]
    assert len(stored) == 2
    assert secret not in str(stored)
    assert cookie not in str(stored)


def test_a_session_lasts_until_it_is_closed_or_its_key_is_revoked(keys, store):
    key, _ = keys.create("person", Scope.ADMIN)
    first, second = keys.open_session(key), keys.open_session(key)
    assert keys.session(first) == keys.session(second) == key
    keys.close_session(first)
    assert keys.session(first) is None
    keys.revoke(key.id)
    assert keys.session(second) is None
    assert keys.session("") is None


def test_scopes_include_the_lesser_ones():
    included = [[scope.includes(other) for other in Scope] for scope in Scope]
    assert included == [[True, False, False], [True, True, False], [True, True, True]]


def test_no_more_jobs_of_a_key_wait_than_it_allows(keys, store, worker):
    key, _ = keys.create("robot", Scope.WRITE, max_queued=2)
    jobs = [store.submit(SPEC, owner=key.id, idempotency_key=str(n))[0] for n in range(2)]
    with pytest.raises(QuotaExceeded, match="2 of your jobs"):
        store.submit(SPEC, owner=key.id)
    assert store.submit(SPEC, owner=key.id, idempotency_key="1") == (jobs[1], False)  # nothing new waits
    store.submit(SPEC)
    store.claim(worker)
    store.submit(SPEC, owner=key.id)


def test_no_more_jobs_of_a_key_run_than_it_allows(keys, store, worker):
    key, _ = keys.create("robot", Scope.WRITE, max_running=1)
    mine = [store.submit(SPEC, owner=key.id)[0].id for _ in range(2)]
    other, _ = store.submit(SPEC)
    first = store.claim(worker)
    assert first.job.id == mine[0]
    assert store.claim(worker).job.id == other.id
    assert store.claim(worker) is None
    first.release(JobState.SUCCEEDED)
    assert store.claim(worker).job.id == mine[1]


def test_the_same_idempotency_key_of_two_owners_makes_two_jobs(keys, store):
    owners = [keys.create(name, Scope.WRITE)[0].id for name in "ab"]
    made = [store.submit(SPEC, owner=owner, idempotency_key="mine") for owner in (*owners, *owners, None)]
    assert [is_new for _, is_new in made] == [True, True, False, False, True]
    assert len({job.id for job, _ in made}) == 3


def test_what_a_job_does_not_keep_is_let_go_when_it_ends(store, worker):
    from dataclasses import replace

    from evaluators import ArtifactRef
    from spaces import Metric

    def completed(number, accuracy):
        metrics = {
            "accuracy": Metric(accuracy, "fraction"),
            "latency_ms": Metric(1.0, "ms"),
            "size_bytes": Metric(98304, "byte"),
        }
        artifact = ArtifactRef(f"sha256:{number:064x}", 100 + number)
        return replace(finished(number), metrics=metrics, artifact=artifact)

    kept = {}
    for keep in Keep:
        job, _ = store.submit(SPEC, keep=keep)
        claim = store.claim(worker)
        for number, accuracy in enumerate((0.8, 0.9, 0.7)):
            trial = completed(number, accuracy)
            digest = trial.artifact.digest.replace("sha256:000000", f"sha256:{keep.encode().hex()[:6]}")
            claim.finish(
                replace(trial, artifact=replace(trial.artifact, digest=digest)), progress(number + 1)
            )
        claim.release(JobState.SUCCEEDED)
        kept[str(keep)] = [trial.number for trial in store.all_trials(job.id) if trial.artifact is not None]
        freed = [event.data for event in store.events(job.id) if event.kind == "artifacts.freed"]
        sizes = {"all": None, "front": (2, 100 + 102), "none": (3, 100 + 101 + 102)}[keep]
        assert freed == (
            [] if sizes is None else [{"trials": sizes[0], "artifacts": sizes[0], "size_bytes": sizes[1]}]
        )
    assert kept == {"all": [0, 1, 2], "front": [1], "none": []}


def test_an_artifact_of_a_job_that_keeps_none_stays_with_another_that_has_it(store, worker):
    for keep in (Keep.ALL, Keep.NONE):
        store.submit(SPEC, keep=keep)
        claim = store.claim(worker)
        claim.finish(finished(0), progress(1))
        claim.release(JobState.SUCCEEDED)
    assert store.artifact(ARTIFACT.digest) == ARTIFACT


def test_workers_are_listed_with_what_they_do(store, worker, colleague, shared_database):
    workers = WorkerList(shared_database)
    workers.enter(worker.id, "here", ("local-cpu",))
    workers.enter(colleague.id, "here")
    job, _ = store.submit(SPEC)
    store.claim(worker)
    workers.leave(colleague.id)
    by_id = {known.id: known for known in workers.all()}
    busy, stopped = by_id[worker.id], by_id[colleague.id]
    assert (busy.state, busy.job, busy.offers, busy.host) == (
        WorkerState.BUSY,
        job.id,
        ("local-cpu",),
        "here",
    )
    assert (stopped.state, stopped.job, stopped.offers) == (WorkerState.STOPPED, None, ())


def test_a_worker_that_was_not_heard_of_is_silent_until_it_is(store, worker, shared_database):
    from sqlalchemy import update

    from storage.columns import UtcNow
    from storage.tables import WorkerRow

    workers = WorkerList(shared_database)
    workers.enter(worker.id, "here")
    with shared_database.writing() as session:
        session.execute(update(WorkerRow).values(seen_at=UtcNow(-60)))
    assert [known.state for known in workers.all()] == ["silent"]
    workers.beat(worker.id)
    assert [known.state for known in workers.all()] == ["idle"]


def test_a_worker_that_fails_again_and_again_leaves_the_job_with_its_last_error(store, worker):
    job, _ = store.submit(SPEC)
    for attempt in range(1, 4):
        store.claim(worker, attempts_cap=3).give_up(f"ValueError: wrong {attempt}")
        assert store.job(job.id).last_error == f"ValueError: wrong {attempt}"
    ended = store.job(job.id)
    assert ended.state == "failed"
    assert ended.reason == "poison: 3 attempts ended no trial; last: ValueError: wrong 3"


def test_a_worker_takes_the_jobs_of_its_runner_alone(store, worker):
    on_ray, _ = store.submit(replace(SPEC, runner="ray"))
    here, _ = store.submit(SPEC)
    assert [job.id for job in store.waiting(runner="ray")] == [on_ray.id]
    assert store.claim(worker, runner="local").job.id == here.id
    assert store.claim(worker, runner="local") is None
    assert store.claim(worker, runner="ray", only=[]) is None
    assert store.claim(worker, runner="ray", only=[here.id]) is None
    assert store.claim(worker, runner="ray", only=[on_ray.id]).job.id == on_ray.id
    assert store.waiting(runner="ray") == []


def test_a_waiting_job_says_what_it_waits_for_until_it_is_taken(store, worker):
    job, _ = store.submit(SPEC)
    store.explain(job.id, "no node has 4 GPU")
    store.explain(job.id, "no node has 4 GPU")
    assert (store.job(job.id).state, store.job(job.id).reason) == ("queued", "no node has 4 GPU")
    told = [event.data for event in store.events(job.id) if event.kind == "job.state"]
    assert told.count({"state": "queued", "reason": "no node has 4 GPU"}) == 1
    claimed = store.claim(worker)
    store.explain(job.id, "too late")
    assert (claimed.job.reason, store.job(job.id).reason) == (None, None)
    assert store.job(job.id).state == "running"
