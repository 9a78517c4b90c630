import math
from dataclasses import replace

import pytest

from search.trial import TrialState
from spaces import Conflict, InvalidValue, Metric, Policy, StorageError, UnknownName
from storage.pages import encode
from tests.contracts.samples import ARTIFACT, finished, progress, running


def kinds(store, job_id):
    return [event.kind for event in store.events(job_id)]


def test_a_trial_is_stored_when_it_starts_and_when_it_ends(store, claim):
    claim.start(running(0))
    assert store.all_trials(claim.job.id) == [running(0)]
    claim.finish(finished(0), progress(1))
    assert store.trial(claim.job.id, 0) == finished(0)
    assert claim.trials() == store.all_trials(claim.job.id) == [finished(0)]


def test_what_a_trial_ran_as_keeps_its_order(store, claim):
    claim.finish(finished(0), progress(1))
    stored = store.trial(claim.job.id, 0)
    assert list(stored.executed_as) == ["stem.conv", "head.fc"]
    assert list(stored.metrics) == ["size_bytes", "accuracy"]


def test_the_end_of_a_trial_is_told_with_the_progress(store, claim):
    claim.start(running(0))
    claim.finish(finished(0, TrialState.INFEASIBLE, reason="no int8 kernel"), progress(1))
    started, ended = store.events(claim.job.id, after=2)
    assert (started.kind, started.data) == ("trial.started", {"trial": 0})
    assert ended.kind == "trial.finished"
    assert ended.data == {
        "trial": 0,
        "state": "infeasible",
        "reason": "no int8 kernel",
        "progress": progress(1).to_dict(),
    }
    assert store.job(claim.job.id).progress == progress(1)


def test_an_artifact_is_known_by_its_digest(store, claim):
    with pytest.raises(UnknownName, match="unknown artifact"):
        store.artifact(ARTIFACT.digest)
    for number in (0, 1):  # two policies may give the same file
        claim.finish(finished(number), progress(1))
    assert store.artifact(ARTIFACT.digest) == ARTIFACT


def test_a_number_is_finished_once(store, claim):
    claim.finish(finished(0), progress(1))
    for again in (lambda: claim.finish(finished(0), progress(2)), lambda: claim.start(running(0))):
        with pytest.raises(Conflict, match="trial 0 of job"):
            again()
    assert store.job(claim.job.id).progress == progress(1)
    assert kinds(store, claim.job.id).count("trial.finished") == 1


def test_only_an_ended_trial_is_finished_and_only_another_started(store, claim):
    with pytest.raises(Conflict):
        claim.finish(running(0), progress(1))
    with pytest.raises(Conflict):
        claim.start(finished(0))
    assert store.all_trials(claim.job.id) == []


def test_what_fails_while_a_trial_is_stored_stores_nothing(store, claim):
    claim.start(running(0))
    before = store.events(claim.job.id)
    with pytest.raises(StorageError):
        claim.finish(finished(0), replace(progress(1), hypervolume=math.nan))
    assert store.trial(claim.job.id, 0) == running(0)
    assert store.events(claim.job.id) == before
    with pytest.raises(UnknownName):
        store.artifact(ARTIFACT.digest)
    claim.finish(finished(0), progress(1))


def test_a_reason_from_anywhere_can_be_stored(store, claim):
    claim.finish(finished(0, TrialState.FAILED, reason="nul \0 and surrogate \ud800"), progress(1))
    assert store.trial(claim.job.id, 0).reason == "nul \ufffd and surrogate ?"


def test_text_of_any_script_comes_back(store, claim):
    claim.note("warning", {"message": "läuft schief: 警告 💥"})
    assert store.events(claim.job.id)[-1].data == {"message": "läuft schief: 警告 💥"}


def test_trials_come_in_pages_by_number_while_others_are_added(store, claim):
    for number in (0, 2, 1, 4):
        claim.start(running(number))
    first = store.trials(claim.job.id, limit=2)
    claim.start(running(3))
    second = store.trials(claim.job.id, limit=2, cursor=first.next_cursor)
    last = store.trials(claim.job.id, limit=2, cursor=second.next_cursor)
    assert [trial.number for page in (first, second, last) for trial in page.items] == [0, 1, 2, 3, 4]
    assert last.next_cursor is None
    with pytest.raises(InvalidValue, match="/cursor"):
        store.jobs(cursor=first.next_cursor)


def test_a_cursor_beyond_the_last_trial_gives_an_empty_page(store, claim):
    claim.start(running(0))
    assert store.trials(claim.job.id, cursor=encode("trial", 10**17)).items == ()


def test_trials_are_filtered_by_state(store, claim):
    claim.start(running(0))
    claim.finish(finished(1), progress(1))
    claim.finish(finished(2, TrialState.GATED, artifact=None), progress(1))
    wanted = [TrialState.COMPLETED, TrialState.GATED]
    assert [trial.number for trial in store.trials(claim.job.id, states=wanted).items] == [1, 2]
    assert [trial.number for trial in claim.trials()] == [1, 2]


def test_an_unknown_trial_is_named(store, claim):
    for number in (7, -1, 2**31, 2**63, 10**30):
        with pytest.raises(UnknownName, match=f"unknown trial '{number}'"):
            store.trial(claim.job.id, number)
    with pytest.raises(UnknownName, match="unknown job"):
        store.trial("nothing", 7)


def test_trials_of_other_jobs_are_other_trials(store, claim, colleague):
    store.submit(claim.job.spec)
    other = store.claim(colleague)
    claim.finish(finished(0), progress(1))
    other.start(running(0))
    assert store.trial(other.job.id, 0).state == "running"
    assert store.all_trials(claim.job.id) == [finished(0)]


def test_the_front_is_measured_again_together(store, claim):
    for number in (0, 1):
        claim.finish(finished(number), progress(1))
    again = finished(
        0, metrics={"latency_ms": Metric(0.03, "ms")}, violates={}, policy=Policy(), reason="ignored"
    )
    claim.update_trials([again])
    assert store.trial(claim.job.id, 0) == finished(0, metrics=again.metrics, violates={})
    assert store.trial(claim.job.id, 1) == finished(1)
    assert store.events(claim.job.id)[-1].kind == "front.remeasured"
    assert store.events(claim.job.id)[-1].data == {"trials": [0]}


def test_documents_stand_beside_trials(store, claim):
    for number in (0, 1):
        claim.finish(finished(number), progress(1))
    assert store.extras(claim.job.id) == {}
    claim.set_extras({0: {"accuracy_test": {"value": 0.9}}})
    claim.set_extras({0: {"accuracy_test": {"value": 0.8}}, 1: {}})
    assert store.extras(claim.job.id) == {0: {"accuracy_test": {"value": 0.8}}, 1: {}}
    assert store.trial(claim.job.id, 0) == finished(0)


def test_only_trials_that_ended_are_amended(store, claim):
    claim.finish(finished(0), progress(1))
    claim.start(running(1))
    for number, error in ((1, Conflict), (7, UnknownName)):
        with pytest.raises(error):
            claim.set_extras({0: {"a": 1}, number: {}})
        with pytest.raises(error):
            claim.update_trials([finished(0, metrics={}), finished(number)])
    assert store.extras(claim.job.id) == {}
    assert store.trial(claim.job.id, 0) == finished(0)


def test_the_reference_is_stored_and_told(store, claim):
    reference = {"metrics": {"accuracy": {"value": 0.996, "unit": "fraction", "method": "measured"}}}
    claim.set_reference(reference)
    assert store.job(claim.job.id).reference == reference
    assert [event.data for event in store.events(claim.job.id) if event.kind == "reference"] == [reference]


def test_an_inventory_is_put_again_under_its_key(store):
    assert store.inventory("digits-cnn") is None
    store.put_inventory("digits-cnn", {"layers": [1]})
    store.put_inventory("digits-cnn", {"layers": [2, 1]})
    assert store.inventory("digits-cnn") == {"layers": [2, 1]}
