import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from search.job import JobState, Progress
from search.spec import MAX_TRIALS, Budget
from spaces import Conflict, InvalidValue, SpaceRequest, UnknownName
from storage import IdempotencyMismatch
from tests.contracts.samples import SPEC, finished, progress, running


def told_states(store, job_id):
    return [event.data["state"] for event in store.events(job_id) if event.kind == "job.state"]


def test_a_submitted_job_waits_with_its_specification(store):
    job, is_new = store.submit(SPEC)
    assert is_new
    assert store.job(job.id) == job
    assert (job.spec, job.state, job.attempt, job.progress) == (SPEC, "queued", 0, Progress(total=3))
    assert (job.reason, job.started_at, job.ended_at, job.reference) == (None, None, None, {})


def test_a_specification_keeps_the_order_of_its_layer_rules(store):
    job, _ = store.submit(SPEC)
    assert list(store.job(job.id).spec.space.layers) == ["head.fc", "*"]


def test_times_are_now_and_in_utc(store):
    job, _ = store.submit(SPEC)
    [event] = store.events(job.id)
    for moment in (job.created_at, event.at):
        assert moment.tzinfo is UTC
        assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)


def test_ids_are_long_lower_case_and_not_repeated(store):
    ids = {store.submit(SPEC)[0].id for _ in range(5)}
    assert len(ids) == 5
    assert all(re.fullmatch("[a-z0-9]{12,}", job_id) for job_id in ids)


def test_an_unknown_job_is_named(store):
    calls = (store.job, store.delete, store.cancel, store.pause, store.resume, store.trials, store.all_trials)
    for call in (*calls, store.events, store.extras):
        with pytest.raises(UnknownName, match="unknown job 'nothing'"):
            call("nothing")
    with pytest.raises(UnknownName):
        store.raise_budget("nothing", 5)


@pytest.mark.parametrize("name", ["", "\0", "a\0b", "\ud800", "j" * 1000, "../../etc", "' OR 1=1 --"])
def test_a_name_that_no_job_can_have_is_unknown(store, name):
    store.submit(SPEC)
    with pytest.raises(UnknownName):
        store.job(name)
    with pytest.raises(UnknownName):
        store.artifact(name)
    assert store.jobs(workload=name).items == ()


def test_a_key_that_is_used_again_finds_the_earlier_job(store):
    job, _ = store.submit(SPEC, idempotency_key="once")
    assert store.submit(SPEC, idempotency_key="once") == (job, False)
    assert store.submit(SPEC, idempotency_key="twice")[1]
    assert store.submit(SPEC)[1]


@pytest.mark.parametrize(
    "other",
    [
        replace(SPEC, seed=1),
        replace(SPEC, space=SpaceRequest(layers=dict(reversed(SPEC.space.layers.items())))),
    ],
    ids=["another seed", "another order of rules"],
)
def test_a_key_is_not_used_for_another_specification(store, other):
    job, _ = store.submit(SPEC, idempotency_key="once")
    with pytest.raises(IdempotencyMismatch, match=job.id) as caught:
        store.submit(other, idempotency_key="once")
    assert (caught.value.key, caught.value.job_id) == ("once", job.id)
    assert len(store.jobs().items) == 1


def test_a_key_still_finds_a_job_whose_budget_was_raised(store):
    job, _ = store.submit(SPEC, idempotency_key="once")
    store.raise_budget(job.id, 10)
    assert store.submit(SPEC, idempotency_key="once")[0].id == job.id


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_a_length(store, key):
    with pytest.raises(InvalidValue, match="/idempotency_key"):
        store.submit(SPEC, idempotency_key=key)


def test_twenty_threads_with_one_key_create_one_job(store):
    together = Barrier(20)

    def submit(_):
        together.wait()
        return store.submit(SPEC, idempotency_key="once")

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(submit, range(20)))
    assert len({job.id for job, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1
    assert len(store.jobs().items) == 1


def test_jobs_come_newest_first(store):
    ids = [store.submit(SPEC)[0].id for _ in range(5)]
    assert [job.id for job in store.jobs().items] == ids[::-1]


def test_pages_stay_as_they_are_while_jobs_are_added(store):
    ids = [store.submit(SPEC)[0].id for _ in range(5)]
    seen, cursor = [], None
    while True:
        page = store.jobs(limit=2, cursor=cursor)
        seen += [job.id for job in page.items]
        store.submit(SPEC)
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids[::-1]


def test_a_full_last_page_has_no_next(store):
    for _ in range(4):
        store.submit(SPEC)
    first = store.jobs(limit=2)
    assert store.jobs(limit=2, cursor=first.next_cursor).next_cursor is None


def test_jobs_are_filtered_by_state_workload_and_target(store):
    mine, _ = store.submit(SPEC)
    other, _ = store.submit(replace(SPEC, workload="mlp", target="raspberry-pi-5"))
    store.cancel(other.id)
    assert [job.id for job in store.jobs(states=[JobState.QUEUED]).items] == [mine.id]
    assert [job.id for job in store.jobs(states=[JobState.QUEUED, JobState.CANCELLED]).items] == [
        other.id,
        mine.id,
    ]
    assert [job.id for job in store.jobs(workload="mlp").items] == [other.id]
    assert [job.id for job in store.jobs(target="raspberry-pi-5").items] == [other.id]
    assert store.jobs(workload="mlp", states=[JobState.QUEUED]).items == ()


@pytest.mark.parametrize("cursor", ["nonsense", "", "dHJpYWw6MQ", "am9iOi0x", "💥"])
def test_a_cursor_of_something_else_is_refused(store, cursor):
    with pytest.raises(InvalidValue) as caught:
        store.jobs(cursor=cursor)
    assert caught.value.faults[0].pointer == "/cursor"


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_has_a_size(store, limit):
    with pytest.raises(InvalidValue, match="/limit"):
        store.jobs(limit=limit)


def test_a_waiting_job_is_cancelled_at_once(store):
    job, _ = store.submit(SPEC)
    assert store.cancel(job.id).state == "cancelled"
    assert store.cancel(job.id) == store.job(job.id)
    assert store.job(job.id).ended_at is not None
    assert told_states(store, job.id) == ["queued", "cancelled"]


def test_a_running_job_is_cancelled_by_its_worker(store, claim):
    assert store.cancel(claim.job.id).state == "cancelling"
    assert store.cancel(claim.job.id).state == "cancelling"
    assert claim.heartbeat() is JobState.CANCELLING
    claim.finish(finished(0), progress(1))
    claim.release(JobState.CANCELLED)
    assert told_states(store, claim.job.id) == ["queued", "running", "cancelling", "cancelled"]


def test_a_paused_job_that_nobody_holds_is_cancelled_at_once(store):
    job, _ = store.submit(SPEC)
    store.pause(job.id)
    assert store.cancel(job.id).state == "cancelled"


@pytest.mark.parametrize("end", [JobState.SUCCEEDED, JobState.FAILED])
def test_a_job_that_has_ended_can_only_be_deleted(store, claim, end):
    claim.release(end, "because")
    for call in (store.cancel, store.pause, store.resume):
        with pytest.raises(Conflict, match=f"is {end}"):
            call(claim.job.id)
    assert store.job(claim.job.id).reason == "because"
    store.delete(claim.job.id)
    with pytest.raises(UnknownName):
        store.job(claim.job.id)


def test_a_job_that_has_not_ended_is_not_deleted(store, claim):
    with pytest.raises(Conflict, match="cancel it"):
        store.delete(claim.job.id)


def test_a_deleted_job_takes_its_trials_and_events_along_and_leaves_others(store, claim):
    claim.finish(finished(0), progress(1))
    claim.release(JobState.SUCCEEDED)
    other, _ = store.submit(SPEC)
    assert store.delete(claim.job.id) == [finished(0).artifact]
    assert [job.id for job in store.jobs().items] == [other.id]
    with pytest.raises(UnknownName):
        store.events(claim.job.id)
    assert len(store.events(other.id)) == 1
    with pytest.raises(UnknownName):
        store.artifact(finished(0).artifact.digest)


def test_an_artifact_stays_while_another_job_has_it(store, worker):
    for _ in range(2):
        store.submit(SPEC)
        claim = store.claim(worker)
        claim.finish(finished(0), progress(1))
        claim.release(JobState.SUCCEEDED)
    first, second = (job.id for job in store.jobs().items)
    assert store.delete(first) == []
    assert store.artifact(finished(0).artifact.digest) == finished(0).artifact
    assert store.delete(second) == [finished(0).artifact]


def test_a_waiting_job_is_paused_and_resumed(store, worker):
    job, _ = store.submit(SPEC)
    assert store.pause(job.id).state == store.pause(job.id).state == "paused"
    assert store.claim(worker) is None
    assert store.resume(job.id).state == store.resume(job.id).state == "queued"
    assert store.claim(worker).job.id == job.id
    assert told_states(store, job.id) == ["queued", "paused", "queued", "running"]


def test_a_paused_job_goes_on_after_its_worker_let_go(store, claim, colleague):
    claim.finish(finished(0), progress(1))
    claim.start(running(1))
    assert store.pause(claim.job.id).state == "paused"
    assert claim.heartbeat() is JobState.PAUSED
    claim.release(JobState.PAUSED)
    assert store.claim(colleague) is None
    store.resume(claim.job.id)
    again = store.claim(colleague)
    assert [trial.number for trial in again.trials()] == [0]
    assert store.trial(claim.job.id, 1).state == "lost"
    assert again.job.attempt == 2


def test_a_job_that_is_resumed_before_its_worker_let_go_stays_with_it(store, claim, colleague):
    store.pause(claim.job.id)
    assert store.resume(claim.job.id).state == "running"
    assert store.claim(colleague) is None
    assert claim.heartbeat() is JobState.RUNNING


def test_a_job_that_is_resumed_while_its_worker_lets_go_waits(store, claim, colleague):
    store.pause(claim.job.id)
    store.resume(claim.job.id)
    claim.release(JobState.PAUSED)
    assert store.claim(colleague).job.id == claim.job.id


def test_a_budget_is_only_raised(store, claim):
    for trials in (3, 2, MAX_TRIALS + 1):
        with pytest.raises(InvalidValue) as caught:
            store.raise_budget(claim.job.id, trials)
        assert caught.value.faults[0].pointer == "/budget/trials"
    job = store.raise_budget(claim.job.id, 10)
    assert (job.spec, job.progress.total, job.state) == (replace(SPEC, budget=Budget(10)), 10, "running")


def test_a_worker_sees_a_raised_budget_with_its_heartbeat(store, claim):
    store.raise_budget(claim.job.id, 10)
    claim.finish(finished(0), progress(1, total=3))
    assert store.job(claim.job.id).progress.total == 10
    claim.heartbeat()
    assert claim.job.spec.budget.trials == 10


def test_a_job_that_had_used_up_its_budget_goes_on_with_a_higher_one(store, claim, colleague):
    claim.release(JobState.SUCCEEDED)
    job = store.raise_budget(claim.job.id, 10)
    assert (job.state, job.ended_at) == ("queued", None)
    assert store.claim(colleague).job.spec.budget.trials == 10


def test_a_job_whose_budget_is_raised_while_it_ends_goes_on(store, claim, colleague):
    store.raise_budget(claim.job.id, 10)
    claim.release(JobState.SUCCEEDED)
    assert store.job(claim.job.id).state == "queued"


@pytest.mark.parametrize("end", [JobState.FAILED, JobState.CANCELLED])
def test_a_budget_is_not_raised_after_a_bad_end(store, claim, end):
    claim.release(end)
    with pytest.raises(Conflict):
        store.raise_budget(claim.job.id, 10)
