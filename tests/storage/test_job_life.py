"""The queue against a model: whatever users, workers and deaths do in whatever order."""

from contextlib import suppress

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from search.job import JobState
from search.trial import TrialState
from spaces import Conflict, LeaseLost
from storage import Database, Store, WorkerLock
from tests.contracts.samples import SPEC, finished, progress, running

LEGAL = {
    None: {"queued"},
    "queued": {"running", "paused", "cancelled"},
    "running": {"queued", "paused", "cancelling", "succeeded", "failed", "cancelled"},
    "paused": {"queued", "running", "cancelling", "succeeded", "failed", "cancelled"},
    "cancelling": {"cancelled", "succeeded", "failed"},
    "succeeded": {"queued"},
    "failed": set(),
    "cancelled": set(),
}


def raise_budget(store, job_id):
    store.raise_budget(job_id, store.job(job_id).spec.budget.trials + 1)


class JobLife(RuleBasedStateMachine):
    jobs = Bundle("jobs")
    claims = Bundle("claims")

    def __init__(self, store, data_dir):
        super().__init__()
        self.store, self.data_dir = store, data_dir
        self.ended = {}  # numbers of the trials that were acknowledged as ended, by job
        self.newest = {}  # the claim that may write, by job
        self.released = []
        self.workers = []

    def teardown(self):
        for worker in self.workers:
            worker.close()
        for job_id in self.ended:
            with suppress(Conflict):
                self.store.cancel(job_id)

    @rule(target=jobs)
    def submit(self):
        job, _ = self.store.submit(SPEC)
        self.ended[job.id] = []
        return job.id

    @rule(target=claims)
    def claim(self):
        worker = WorkerLock(self.data_dir).__enter__()
        self.workers.append(worker)
        claim = self.store.claim(worker)
        if claim is None:
            return multiple()
        previous = self.newest.get(claim.job.id)
        assert previous is None or not previous[1].is_held or previous[0] in self.released
        assert [trial.number for trial in claim.trials()] == self.ended[claim.job.id]
        self.newest[claim.job.id] = claim, worker
        return claim, worker

    @rule(
        job_id=jobs,
        ask=st.sampled_from((Store.cancel, Store.pause, Store.resume, raise_budget)),
    )
    def ask(self, job_id, ask):
        with suppress(Conflict):
            ask(self.store, job_id)

    @rule(held=claims)
    def work(self, held):
        claim, _ = held
        number = len(self.ended[claim.job.id])
        try:
            claim.start(running(number))
            claim.finish(finished(number), progress(number + 1))
        except LeaseLost:
            return
        assert self.newest[claim.job.id][0] is claim
        self.ended[claim.job.id].append(number)

    @rule(held=claims)
    def begin(self, held):
        claim, _ = held
        try:
            claim.start(running(len(self.ended[claim.job.id])))
        except LeaseLost:
            return
        assert self.newest[claim.job.id][0] is claim

    @rule(held=claims, state=st.sampled_from([s for s in JobState if s not in {"running", "cancelling"}]))
    def release(self, held, state):
        claim, _ = held
        try:
            claim.release(state)
        except LeaseLost:
            return
        self.released.append(claim)
        assert self.newest[claim.job.id][0] is claim

    @rule(held=claims)
    def die(self, held):
        held[1].close()

    @invariant()
    def nothing_is_lost_and_all_is_told(self):
        for job_id, ended in self.ended.items():
            job = self.store.job(job_id)
            trials, events = self.store.all_trials(job_id), self.store.events(job_id)
            assert [trial.number for trial in trials if trial.state is TrialState.COMPLETED] == ended
            assert [event.seq for event in events] == list(range(1, len(events) + 1))
            states = [event.data["state"] for event in events if event.kind == "job.state"]
            assert states[-1] == job.state
            assert all(now in LEGAL[before] for before, now in zip([None, *states], states, strict=False))
            assert job.state.is_final == (job.ended_at is not None)
            if job.state.is_final or job.state == "queued":
                assert all(trial.state != "running" for trial in trials)


def test_nothing_is_lost_whatever_users_and_workers_do(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/tauten.db")
    database.upgrade()
    run_state_machine_as_test(
        lambda: JobLife(Store(database), tmp_path),
        settings=settings(max_examples=8, stateful_step_count=25, deadline=None),
    )
    database.close()
