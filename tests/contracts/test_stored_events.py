from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from search.job import JobState
from spaces import InvalidValue


def test_events_are_numbered_from_one_and_read_from_any(store, claim):
    for number in range(5):
        claim.note("warning", {"n": number})
    events = store.events(claim.job.id)
    assert [event.seq for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert store.events(claim.job.id, after=5) == events[5:]
    assert store.events(claim.job.id, after=2, limit=2) == events[2:4]
    assert store.events(claim.job.id, after=7) == []


@pytest.mark.parametrize(
    ("asked", "pointer"), [({"after": -1}, "/after"), ({"after": 2**63}, "/after"), ({"limit": 0}, "/limit")]
)
def test_events_are_asked_for_by_number(store, claim, asked, pointer):
    with pytest.raises(InvalidValue, match=pointer):
        store.events(claim.job.id, **asked)


def test_an_event_is_json(store, claim):
    claim.note("warning", {"message": "contended"})
    event = store.events(claim.job.id, after=2)[0].to_dict()
    assert event.pop("at").endswith("Z")
    assert event == {"seq": 3, "kind": "warning", "data": {"message": "contended"}}


def test_every_change_of_state_is_told_with_its_reason(store, claim):
    store.pause(claim.job.id)
    store.resume(claim.job.id)
    claim.release(JobState.FAILED, "the workload has no data")
    told = [event.data for event in store.events(claim.job.id) if event.kind == "job.state"]
    assert [change["state"] for change in told] == ["queued", "running", "paused", "running", "failed"]
    assert told[-1]["reason"] == "the workload has no data"


def test_events_have_no_gaps_when_worker_and_users_write_at_once(store, claim):
    def user(_):
        for _ in range(10):
            store.pause(claim.job.id)
            store.resume(claim.job.id)

    def worker(_):
        for _ in range(10):
            claim.note("warning", {})

    with ThreadPoolExecutor(6) as threads:
        for done in [threads.submit(write, None) for write in (user, worker) for _ in range(3)]:
            done.result()
    events = store.events(claim.job.id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert sum(event.kind == "warning" for event in events) == 30
    assert [event.at for event in events] == sorted(event.at for event in events)
    states = [event.data["state"] for event in events if event.kind == "job.state"]
    assert all(before != after for before, after in pairwise(states))
