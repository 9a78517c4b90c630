from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from search.job import JobState
from spaces import Conflict, LeaseLost, StorageError
from storage import Database, Store, WorkerLock
from tests.contracts.samples import SPEC, finished, progress, running


def test_nothing_is_claimed_where_nothing_waits(store, worker):
    assert store.claim(worker) is None


def test_the_oldest_job_is_claimed_first(store, worker):
    ids = [store.submit(SPEC)[0].id for _ in range(3)]
    assert [store.claim(worker).job.id for _ in range(3)] == ids
    assert store.claim(worker) is None


def test_a_claimed_job_runs(store, claim):
    assert (claim.job.state, claim.job.attempt) == ("running", 1)
    assert claim.job.started_at >= claim.job.created_at
    assert store.job(claim.job.id) == claim.job
    assert claim.heartbeat() is JobState.RUNNING


def test_a_worker_without_its_lock_claims_nothing(store, tmp_path):
    store.submit(SPEC)
    with pytest.raises(StorageError, match="does not hold its lock"):
        store.claim(WorkerLock(tmp_path))


def test_a_live_worker_keeps_its_job(store, claim, colleague, stranger):
    assert store.claim(colleague) is None
    assert store.claim(stranger) is None
    claim.heartbeat()


def test_a_dead_worker_is_noticed_at_once_on_its_machine(store, claim, worker, colleague):
    claim.finish(finished(0), progress(1))
    claim.start(running(1))
    worker.close()
    again = store.claim(colleague)
    assert (again.job.id, again.job.state, again.job.attempt) == (claim.job.id, "running", 2)
    assert again.job.started_at == claim.job.started_at
    assert again.trials() == [finished(0)]
    lost = store.trial(again.job.id, 1)
    assert lost.state == "lost"
    assert worker.id in lost.reason


def test_a_dead_worker_is_noticed_elsewhere_when_its_lease_runs_out(store, worker, stranger):
    job, _ = store.submit(SPEC)
    store.claim(worker, lease_s=60)
    worker.close()
    assert store.claim(stranger) is None
    other, _ = store.submit(SPEC)
    silent = store.claim(stranger, lease_s=0)
    assert silent.job.id == other.id
    with ExitStack() as stack:
        third = stack.enter_context(WorkerLock(worker._directory.parent, host="third"))
        assert store.claim(third).job.id == other.id
        assert store.claim(third) is None
    assert store.job(job.id).attempt == 1


def test_a_lost_number_runs_again(store, claim, worker, colleague):
    claim.start(running(0))
    worker.close()
    again = store.claim(colleague)
    again.start(running(0))
    assert store.all_trials(again.job.id) == [running(0)]
    again.finish(finished(0), progress(1))
    assert store.all_trials(again.job.id) == [finished(0)]


def test_what_became_of_a_dead_worker_is_told(store, claim, worker, colleague):
    claim.start(running(7))
    worker.close()
    store.claim(colleague)
    lost, queued, taken = store.events(claim.job.id, after=3)
    assert (lost.kind, lost.data["trial"]) == ("trial.lost", 7)
    assert queued.data == {"state": "queued", "reason": f"worker {worker.id} died while trial 7 was running"}
    assert taken.data == {"state": "running", "reason": None}


WRITES = {
    "heartbeat": lambda claim: claim.heartbeat(),
    "trials": lambda claim: claim.trials(),
    "start": lambda claim: claim.start(running(1)),
    "finish": lambda claim: claim.finish(finished(1), progress(2)),
    "set_reference": lambda claim: claim.set_reference({"metrics": {}}),
    "set_extras": lambda claim: claim.set_extras({0: {}}),
    "update_trials": lambda claim: claim.update_trials([finished(0, metrics={})]),
    "note": lambda claim: claim.note("warning", {}),
    "release": lambda claim: claim.release(JobState.SUCCEEDED),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_worker_whose_job_was_taken_writes_nothing(store, worker, stranger, write):
    job, _ = store.submit(SPEC)
    stale = store.claim(stranger, lease_s=0)
    stale.finish(finished(0), progress(1))
    fresh = store.claim(worker)
    before = store.job(job.id), store.all_trials(job.id), store.events(job.id)
    with pytest.raises(LeaseLost, match=job.id):
        write(stale)
    assert (store.job(job.id), store.all_trials(job.id), store.events(job.id)) == before
    assert fresh.heartbeat() is JobState.RUNNING


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_worker_that_released_its_job_writes_nothing(store, claim, write):
    claim.finish(finished(0), progress(1))
    store.pause(claim.job.id)
    claim.release(JobState.PAUSED)
    with pytest.raises(LeaseLost):
        write(claim)


def test_a_worker_whose_job_was_deleted_writes_nothing(store, claim):
    claim.release(JobState.FAILED)
    store.delete(claim.job.id)
    with pytest.raises(LeaseLost):
        claim.heartbeat()


def test_every_write_extends_the_lease(store, worker, stranger):
    store.submit(SPEC)
    claim = store.claim(worker, lease_s=60)
    claim._lease_s = 0
    claim.note("warning", {})
    assert store.claim(stranger) is not None


def test_a_job_goes_back_to_the_queue_when_the_server_stops(store, claim, colleague):
    claim.start(running(0))
    claim.release(JobState.QUEUED, "the server stops")
    job = store.job(claim.job.id)
    assert (job.state, job.reason, job.ended_at) == ("queued", "the server stops", None)
    assert store.trial(job.id, 0).state == "lost"
    assert store.claim(colleague).job.id == job.id


@pytest.mark.parametrize(("asked", "becomes"), [(Store.cancel, "cancelled"), (Store.pause, "paused")])
def test_what_the_user_asked_for_holds_when_the_server_stops(store, claim, colleague, asked, becomes):
    asked(store, claim.job.id)
    claim.release(JobState.QUEUED)
    assert store.job(claim.job.id).state == becomes
    assert store.claim(colleague) is None


@pytest.mark.parametrize(("asked", "becomes"), [(Store.cancel, "cancelled"), (Store.pause, "paused")])
def test_what_the_user_asked_for_holds_when_the_worker_dies(store, claim, worker, colleague, asked, becomes):
    claim.start(running(0))
    asked(store, claim.job.id)
    worker.close()
    assert store.claim(colleague) is None
    assert store.job(claim.job.id).state == becomes
    assert store.trial(claim.job.id, 0).state == "lost"


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.CANCELLING])
def test_a_job_is_not_released_into_a_held_state(claim, state):
    with pytest.raises(Conflict):
        claim.release(state)
    assert claim.heartbeat() is JobState.RUNNING


def die(store, tmp_path, before=lambda claim: None):
    """One worker's claim and death."""
    with WorkerLock(tmp_path) as worker:
        claim = store.claim(worker, attempts_cap=3)
        if claim is not None:
            before(claim)
    return claim


def test_a_job_that_kills_its_workers_fails_as_poison(store, tmp_path):
    job, _ = store.submit(SPEC)
    for _ in range(3):
        assert die(store, tmp_path, lambda claim: claim.start(running(0)))
    assert die(store, tmp_path) is None
    job = store.job(job.id)
    assert job.state == "failed"
    assert job.reason.startswith("poison: 3 attempts")
    assert "while trial 0 was running" in job.reason
    assert job.ended_at is not None


def test_a_job_that_advances_with_each_attempt_is_no_poison(store, tmp_path):
    job, _ = store.submit(SPEC)
    for number in range(5):
        assert die(store, tmp_path, lambda claim, n=number: claim.finish(finished(n), progress(n)))
    assert store.job(job.id).attempt == 5


def test_a_server_that_stops_is_no_failed_attempt(store, tmp_path):
    job, _ = store.submit(SPEC)
    for _ in range(5):
        assert die(store, tmp_path, lambda claim: claim.release(JobState.QUEUED))
    assert store.job(job.id).attempt == 5


def test_many_workers_share_the_jobs(store, tmp_path):
    ids = [store.submit(SPEC)[0].id for _ in range(24)]

    def drain(_):
        taken = []
        with WorkerLock(tmp_path) as worker:
            while (claim := store.claim(worker)) is not None:
                claim.release(JobState.SUCCEEDED)
                taken.append(claim.job.id)
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = [job_id for some in threads.map(drain, range(8)) for job_id in some]
    assert sorted(taken) == sorted(ids)
    assert all(store.job(job_id).attempt == 1 for job_id in ids)


def test_two_processes_never_take_the_same_job(store, process):
    ids = [store.submit(SPEC)[0].id for _ in range(20)]
    both = [process("drain"), process("drain")]
    for each in both:
        each.wait_until_ready()
    for each in both:
        each.go()
    assert sorted(job_id for each in both for job_id in each.answer()) == sorted(ids)
    assert all(store.job(job_id).attempt == 1 for job_id in ids)


def test_a_killed_process_is_noticed_though_its_child_lives_on(store, process, worker):
    job, _ = store.submit(SPEC)
    holder = process("hold")
    holder.wait_until_ready()
    holder.go()
    name = holder.answer()
    assert store.claim(worker) is None
    holder.kill()
    claim = store.claim(worker)
    assert (claim.job.id, claim.job.attempt) == (job.id, 2)
    assert claim.trials() == [finished(0)]
    assert (
        f"{name} died while trial 1 was running"
        in [e.data.get("reason") or "" for e in store.events(job.id)][-2]
    )


def test_a_job_is_seen_through_another_connection(shared_url, claim):
    other = Database(shared_url)
    assert Store(other).job(claim.job.id) == claim.job
    other.close()


def test_one_trial_that_was_cut_off_is_lost_and_the_others_run_on(store, claim):
    for number in range(3):
        claim.start(running(number))
    claim.lose(1, "its node is gone")
    assert [str(trial.state) for trial in store.all_trials(claim.job.id)] == ["running", "lost", "running"]
    assert [(trial.number, trial.policy, trial.reason) for trial in claim.lost()] == [
        (1, running(1).policy, "its node is gone")
    ]
    with pytest.raises(Conflict, match=r"trial 1 .* does not run"):
        claim.lose(1, "again")
    claim.start(running(1))
    claim.finish(finished(1), progress(1))
    assert claim.lost() == []
    assert claim.trials() == [finished(1)]
