"""Jobs on a Ray cluster of two nodes, over a real database; the evaluators take no time of their own."""

import re
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from benchmarks.scale.jobs import room, spec_of
from benchmarks.scale.sleeper import Sleeper
from evaluators.targets import find_target
from search.job import JobState
from search.resources import Resources
from search.runners.crew import LocalCrew
from search.runners.local import Surroundings
from storage import ArtifactStore
from tests.search.runners.sleepers import Hanging, Killed, Unlucky, Unready

pytestmark = pytest.mark.ray


@pytest.fixture
def place(tmp_path):
    with room(tmp_path / "room") as place:
        yield place


@pytest.fixture
def told(tmp_path):
    path = tmp_path / "told"
    path.mkdir()
    return path


def on_ray(make, size, directory, **more):
    from search.runners.ray_cluster import RayCrew

    return lambda idle: RayCrew(make, size, Resources(), directory, idle, **more)


def whole(place, job, budget):
    """Every number up to the budget has ended once, and was told to have ended once."""
    trials = place.trials(job)
    ended = [event.data["trial"] for event in place.store.events(job.id) if event.kind == "trial.finished"]
    return (
        job.state is JobState.SUCCEEDED
        and [trial.number for trial in trials] == list(range(budget))
        and sorted(ended) == list(range(budget))
        and len({trial.policy.digest for trial in trials}) == budget
    )


def lost(place, job):
    return [event.data["trial"] for event in place.store.events(job.id) if event.kind == "trial.lost"]


def test_one_worker_on_ray_proposes_what_the_local_runner_does_and_stores_the_same_rows(
    cluster, place, tmp_path
):
    spec = partial(spec_of, 9, sampler="guided", seed=5)
    local = place.run(
        spec(), lambda idle: LocalCrew(lambda at, idle: Sleeper(tmp_path / "here", idle), 1, idle)
    )

    on_cluster = place.run(spec(), on_ray(Sleeper, 1, tmp_path / "back"))

    assert [trial.to_dict() for trial in place.trials(on_cluster)] == [
        trial.to_dict() for trial in place.trials(local)
    ]
    assert on_cluster.reference["metrics"] == local.reference["metrics"]
    assert place.store.extras(on_cluster.id) == place.store.extras(local.id)


def test_a_killed_worker_process_costs_one_evaluation_and_no_trial(cluster, place, told, tmp_path):
    (told / "kills").write_text("1")

    job = place.run(spec_of(8, workers=2), on_ray(partial(Killed, told=told), 2, tmp_path / "back"))

    assert whole(place, job, 8)
    assert lost(place, job) == [2]
    assert {trial.state for trial in place.trials(job)} == {"completed"}


def test_an_evaluator_that_ignores_the_limit_of_a_trial_is_ended_and_its_slot_freed(
    cluster, place, told, tmp_path, monkeypatch
):
    monkeypatch.setattr("search.runners.ray_cluster.crew.GRACE_S", 1.0)

    job = place.run(
        spec_of(5, workers=2), on_ray(partial(Hanging, told=told), 2, tmp_path / "back", trial_s=2.0)
    )

    assert whole(place, job, 5)
    assert lost(place, job) == [1]


def test_what_an_evaluator_cannot_open_fails_the_job_in_its_words(cluster, place, tmp_path):
    job = place.run(spec_of(3), on_ray(Unready, 1, tmp_path / "back"))

    assert job.state is JobState.FAILED
    assert job.reason == "no such data on this node"


def test_a_killed_node_costs_its_evaluations_and_no_trial(cluster, place, told, tmp_path):
    node = cluster.add_node(num_cpus=2, object_store_memory=80 * 2**20)
    (told / "hold").touch()
    job, _ = place.store.submit(spec_of(10, workers=6))

    def kill():
        while len(list(told.glob("trial*"))) < 6:  # all slots of three nodes are busy
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)
        while len(lost(place, job)) < 2:
            time.sleep(0.02)
        (told / "hold").unlink()

    killer = threading.Thread(target=kill)
    killer.start()
    ended = place.go_on(job.id, on_ray(partial(Unlucky, told=told), 6, tmp_path / "back"))
    killer.join()

    assert whole(place, ended, 10)
    assert {trial.state for trial in place.trials(job)} == {"completed"}


def test_what_no_node_has_is_said_with_its_remedy(cluster):
    from search.runners.ray_cluster import shortage

    assert shortage(Resources(cpu=2), "board") is None
    assert shortage(Resources(gpu=1), None) == (
        "no node of the Ray cluster has 1 CPU and 1 GPU; the most that one has is 2 CPU, 0 GPU"
    )
    assert "has 3 CPU" in shortage(Resources(cpu=3), "board")
    assert """--resources='{"target:phone": 1}'""" in shortage(Resources(), "phone")


def test_cancelling_ends_trials_on_the_cluster_within_seconds(cluster, place, tmp_path):
    job, _ = place.store.submit(spec_of(4, workers=2))

    def cancel():
        while not place.store.all_trials(job.id):
            time.sleep(0.02)
        place.store.cancel(job.id)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    started = time.monotonic()
    cancelled = place.go_on(job.id, on_ray(partial(Sleeper, seconds=300.0), 2, tmp_path / "back"))
    canceller.join()

    assert cancelled.state is JobState.CANCELLED
    assert time.monotonic() - started < 60


def test_the_documented_script_runs_on_tune_as_it_stands(cluster, tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "ray.md").read_text()
    (script,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    found = {"storage": str(tmp_path), "__name__": "script"}

    exec(compile(script, "docs/ray.md", "exec"), found)

    trials = found["searcher"].trials
    assert [str(trial.state) for trial in trials] == ["completed"] * 8
    assert len({trial.policy.digest for trial in trials}) == 8
    iterations = [result.metrics["training_iteration"] for result in found["results"]]
    assert set(iterations) == {1, 4}
    uncompressed = next(
        trial for trial in trials if trial.policy.layers == {} or trial.value("accuracy") == 1.0
    )
    assert uncompressed.value("size_bytes") == max(trial.value("size_bytes") for trial in trials)


def test_a_job_waits_with_the_reason_in_words_until_the_cluster_has_what_it_asks_for(cluster, place):
    from service.places import OnRay
    from service.settings import Settings
    from service.worker import _admitted

    settings = Settings(place.directory, "sqlite://", runner="ray")
    on_ray = OnRay(cluster.address, find_target)
    asks_too_much, _ = place.store.submit(spec_of(3, runner="ray", resources=Resources(gpu=1)))
    fits, _ = place.store.submit(spec_of(3, runner="ray"))
    place.store.submit(spec_of(3))

    assert _admitted(place.store, settings, on_ray) == [fits.id]
    waiting = place.store.job(asks_too_much.id)
    assert (str(waiting.state), waiting.attempt) == ("queued", 0)
    assert waiting.reason.startswith("no node of the Ray cluster has 1 CPU and 1 GPU")
    revision = waiting.revision
    assert _admitted(place.store, settings, on_ray) == [fits.id]
    assert place.store.job(asks_too_much.id).revision == revision  # it is said once


def test_a_job_whose_cluster_shrinks_waits_in_the_queue_again(cluster, place, told, tmp_path, monkeypatch):
    monkeypatch.setattr("search.runners.ray_cluster.crew.PATIENCE_S", 0.5)
    monkeypatch.setattr("search.runners.ray_cluster.crew.LOOK_S", 0.2)
    (told / "hold").touch()
    make = partial(Unlucky, told=told)

    from search.runners.ray_cluster.cluster import shortage

    def shrunk(*wanted):  # once a trial runs
        return shortage(*wanted) if list(told.glob("trial*")) else None

    monkeypatch.setattr("search.runners.ray_cluster.crew.shortage", shrunk)
    job = place.run(spec_of(3), on_ray(make, 1, tmp_path / "back", target="gone"))

    assert job.state is JobState.QUEUED
    assert "measures target 'gone'" in job.reason
    assert {str(trial.state) for trial in place.trials(job)} == {"lost"}


@pytest.mark.slow
def test_a_real_job_trains_anywhere_and_measures_on_the_node_that_offers_its_target(cluster, place, tmp_path):
    from evaluators.targets import host_fingerprint
    from service.places import OnRay

    spec = spec_of(2, workload="digits-cnn", runner="ray")
    around = Surroundings(tmp_path / "scratch", ArtifactStore(tmp_path / "unused"))

    job = place.run(spec, OnRay(cluster.address, find_target).crew(spec, around))

    assert job.reason is None
    assert whole(place, job, 2)
    for trial in place.trials(job):
        assert trial.state == "completed"
        assert trial.metrics["latency_ms"].method == "measured"
        assert trial.metrics["latency_ms"].speedup > 0
        kept = ArtifactStore(place.directory / "artifacts").path(trial.artifact.digest)
        assert kept.stat().st_size == trial.artifact.size_bytes
    assert job.reference["provenance"]["target"]["fingerprint"] == host_fingerprint(find_target("local-cpu"))
    assert "accuracy_test" in job.reference
