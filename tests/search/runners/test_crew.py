"""Jobs on several evaluators of this machine, over a real database; the evaluators take no time."""

import threading
import time
from functools import partial

import pytest

from benchmarks.scale.jobs import room, spec_of
from benchmarks.scale.sleeper import Sleeper
from search.job import JobState
from search.runners.crew import LocalCrew, Lost
from spaces import WorkloadError


@pytest.fixture
def place(tmp_path):
    with room(tmp_path) as place:
        yield place


def crew_of(tmp_path, size, kind=Sleeper, **more):
    return lambda idle: LocalCrew(
        lambda position, idle: kind(tmp_path / f"bench{position}", idle, **more), size, idle
    )


def proposed(trials):
    return [(trial.number, trial.policy.digest, trial.origin) for trial in trials]


def values(trials):
    return {trial.policy.digest: trial.value("accuracy") for trial in trials}


@pytest.mark.parametrize("sampler", ["random", "nsga2", "tpe"])
def test_several_evaluators_spend_the_exact_budget_and_lose_nothing(tmp_path, place, sampler):
    job = place.run(spec_of(13, workers=4, sampler=sampler), crew_of(tmp_path, 4))

    trials = place.trials(job)
    assert job.state is JobState.SUCCEEDED
    assert [trial.number for trial in trials] == list(range(13))
    assert {trial.state for trial in trials} == {"completed"}
    assert len({trial.policy.digest for trial in trials}) == 13


def test_trials_run_at_the_same_time_and_results_are_those_of_one_after_another(tmp_path, place):
    together = threading.Barrier(3, timeout=20)

    class Meeting(Sleeper):
        def evaluate(self, trial, unbeatable):
            if trial.number < 3:
                together.wait()
            return super().evaluate(trial, unbeatable)

    parallel = place.run(spec_of(8, workers=3), crew_of(tmp_path, 3, Meeting))
    serial = place.run(spec_of(8), crew_of(tmp_path, 1))

    assert parallel.state is serial.state is JobState.SUCCEEDED
    assert values(place.trials(parallel)) == values(place.trials(serial))


def test_an_interrupted_job_runs_what_was_cut_off_again_under_its_number_and_policy(tmp_path, place):
    begun = []

    class Slow(Sleeper):
        def evaluate(self, trial, unbeatable):
            begun.append(trial.number)
            self.seconds = 0.0 if trial.number in {0, 3} else 60.0
            return super().evaluate(trial, unbeatable)

    job = place.run(
        spec_of(6, workers=3), crew_of(tmp_path, 3, Slow), should_stop=lambda: {1, 2, 4} <= set(begun)
    )
    cut_off = {trial.number: trial for trial in place.trials(job) if trial.state == "lost"}
    whole = place.go_on(job.id, crew_of(tmp_path, 3))

    assert job.state is JobState.QUEUED
    assert set(cut_off) >= {1, 2}
    assert whole.state is JobState.SUCCEEDED
    ended = place.trials(whole)
    assert [trial.number for trial in ended] == list(range(6))
    for number, trial in cut_off.items():
        assert ended[number].policy == trial.policy
        assert ended[number].state == "completed"


def test_an_evaluator_that_cannot_open_the_workload_fails_the_job_in_words(tmp_path, place):
    class Broken(Sleeper):
        def open(self, calibrated_ms):
            if calibrated_ms is not None:
                raise WorkloadError("no such data on this machine")
            return super().open(calibrated_ms)

    job = place.run(spec_of(6, workers=2), crew_of(tmp_path, 2, Broken, seconds=0.2))

    assert job.state is JobState.FAILED
    assert job.reason == "no such data on this machine"


class Losing(LocalCrew):
    """Loses some trials, each as often as it is told."""

    def __init__(self, losses, *args):
        self.losses = losses
        super().__init__(*args)

    def take(self):
        ended = super().take()
        if self.losses.get(ended.number, 0):
            self.losses[ended.number] -= 1
            return Lost(ended.number, "node gone")
        return ended


def losing(tmp_path, losses):
    make = lambda position, idle: Sleeper(tmp_path / f"bench{position}", idle)  # noqa: E731
    return lambda idle: Losing(losses, make, 2, idle)


def test_a_lost_trial_runs_again_and_is_told_as_lost(tmp_path, place):
    job = place.run(spec_of(5, workers=2), losing(tmp_path, {1: 2}))

    events = place.store.events(job.id)
    assert [event.data["reason"] for event in events if event.kind == "trial.lost"] == ["node gone"] * 2
    assert [event.data["trial"] for event in events if event.kind == "trial.started"].count(1) == 3
    assert {trial.state for trial in place.trials(job)} == {"completed"}
    assert len(place.trials(job)) == 5


def test_a_trial_that_is_lost_three_times_has_failed_and_counts(tmp_path, place):
    job = place.run(spec_of(5, workers=2), losing(tmp_path, {2: 9}))

    trials = place.trials(job)
    assert job.state is JobState.SUCCEEDED
    assert [str(trial.state) for trial in trials].count("completed") == 4
    assert trials[2].state == "failed"
    assert trials[2].reason == "its evaluator was lost 3 times; last: node gone"


def test_one_evaluator_proposes_what_it_always_did(tmp_path, place):
    crew = partial(crew_of, tmp_path)
    first = place.run(spec_of(9, sampler="tpe", seed=3), crew(1))
    again = place.run(spec_of(9, sampler="tpe", seed=3), crew(1))

    assert proposed(place.trials(first)) == proposed(place.trials(again))


def test_cancelling_ends_trials_that_are_out_within_seconds(tmp_path, place):
    job, _ = place.store.submit(spec_of(4, workers=2))
    threading.Timer(0.5, place.store.cancel, [job.id]).start()

    started = time.monotonic()
    cancelled = place.go_on(job.id, crew_of(tmp_path, 2, seconds=120.0))

    assert cancelled.state is JobState.CANCELLED
    assert time.monotonic() - started < 20
