"""A job that scores another's candidates: what it does with processes that die, over a ledger in memory."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evaluators import ArtifactRef, Outcome
from search.job import Job, JobState, Progress
from search.runners.bench import Opened
from search.runners.local import Surroundings
from search.runners.retargeting import TOGETHER, RetargetRunner
from search.source import Source
from search.spec import Budget, JobSpec
from search.trial import Trial, TrialState
from spaces import MeasurementError, Metric, MissingFile, Policy

METRICS = {"accuracy": Metric(0.9, "fraction"), "size_bytes": Metric(5.0, "byte")}
PROVENANCE = {"deployment": {"channel_multiple": 8}}


class Ledger:
    """Everything that a runner writes, kept in lists."""

    def __init__(self, count):
        source = Source("parent", "local-cpu", "all", PROVENANCE)
        spec = JobSpec(
            "digits-cnn",
            "a100",
            objectives=("accuracy", "size_bytes"),
            budget=Budget(count),
            sampler="random",
            source=source,
        )
        self.job = Job("j", spec, JobState.RUNNING, None, 1, Progress(), datetime.now(UTC))
        self.left = {
            number: Trial(
                number,
                Policy(),
                {},
                "tpe",
                state=TrialState.WAITING,
                artifact=ArtifactRef(f"sha256:{number}", 5),
            )
            for number in range(count)
        }
        self.started, self.ended, self.state, self.reason = [], {}, None, None
        self.wanted = JobState.RUNNING
        self.update_trials = self.set_extras = self.note = lambda *_: None

    def heartbeat(self):
        return self.wanted

    def trials(self):
        return list(self.ended.values())

    def waiting(self):
        before = {"target": "local-cpu", "metrics": {}, "executed_as": {}}
        return [(trial, before) for number, trial in self.left.items() if number not in self.ended]

    def start(self, trial):
        self.started.append(trial.number)

    def finish(self, trial, progress):
        self.ended[trial.number] = trial

    def set_reference(self, reference):
        self.job = replace(self.job, reference=reference)

    def release(self, state, reason=None):
        self.state, self.reason = state, reason


class Bench:
    """Scores everything at once, but dies of one candidate."""

    def __init__(self, deadly=None, directory=None):
        self.deadly, self.asked = deadly, []
        self.opened = Opened({}, [], METRICS, 1.0, directory / "reference", {"deployment": {}, "target": {}})
        self.close = lambda: None

    def open(self, calibrated_ms):
        return self.opened

    def retarget(self, candidates, provenance):
        assert provenance == PROVENANCE
        self.asked.append(sorted(candidates))
        if self.deadly in candidates:
            raise MeasurementError("the process has ended by signal SIGSEGV")
        return {
            number: Outcome(
                "completed", None, METRICS, {"a": "int8"}, ArtifactRef(f"sha256:{number}", 5), 1.0
            )
            for number in candidates
        }

    def finish(self, artifacts):
        found = {"latency_ms": Metric(1.0, "ms"), "accuracy_test": Metric(0.9, "fraction")}
        return dict.fromkeys((*artifacts, -1), found)


class Artifacts:
    """Files that are named by the end of their digest."""

    def __init__(self, directory):
        self._directory = directory

    def put(self, path):
        return ArtifactRef("sha256:reference", 5)

    def path(self, digest):
        path = self._directory / digest.removeprefix("sha256:")
        if not path.exists():
            raise MissingFile(f"artifact {digest} is missing")
        return path


@pytest.fixture
def run(tmp_path):
    for number in range(20):
        (tmp_path / str(number)).touch()

    def run(ledger, bench):
        around = Surroundings(Path(tmp_path), Artifacts(tmp_path))
        return RetargetRunner(ledger, around, lambda idle: bench).run()

    return run


def test_candidates_are_scored_in_groups_and_recipes_say_what_they_were_shaped_for(run, tmp_path):
    ledger, bench = Ledger(TOGETHER + 3), Bench(directory=tmp_path)

    assert run(ledger, bench) is JobState.SUCCEEDED

    assert bench.asked == [list(range(TOGETHER)), list(range(TOGETHER, TOGETHER + 3))]
    assert ledger.started == list(range(TOGETHER + 3))
    assert {trial.state for trial in ledger.ended.values()} == {TrialState.COMPLETED}
    assert ledger.job.reference["provenance"]["deployment"] == PROVENANCE["deployment"]
    assert ledger.reason is None


def test_a_candidate_that_kills_the_process_fails_alone(run, tmp_path):
    ledger, bench = Ledger(4), Bench(deadly=2, directory=tmp_path)

    assert run(ledger, bench) is JobState.SUCCEEDED

    states = [ledger.ended[number].state for number in range(4)]
    assert states == ["completed", "completed", "failed", "completed"]
    assert ledger.ended[2].reason == "the evaluation failed: the process has ended by signal SIGSEGV"
    assert ledger.reason == "1 of 4 trials cannot be scored there"


def test_a_candidate_whose_file_is_gone_fails_and_says_so(run, tmp_path):
    ledger, bench = Ledger(3), Bench(directory=tmp_path)
    (tmp_path / "1").unlink()

    run(ledger, bench)

    assert bench.asked == [[0, 2]]
    assert ledger.ended[1].state is TrialState.FAILED
    assert ledger.ended[1].reason == "artifact sha256:1 is missing"


def test_a_candidate_whose_file_is_another_by_now_fails_and_says_so(run, tmp_path):
    ledger, bench = Ledger(2), Bench(directory=tmp_path)
    ledger.left[1] = replace(ledger.left[1], artifact=ArtifactRef("sha256:7", 5))

    run(ledger, bench)

    assert [ledger.ended[number].state for number in (0, 1)] == ["completed", "failed"]
    assert "damaged" in ledger.ended[1].reason


def test_what_was_scored_before_is_not_scored_again(run, tmp_path):
    ledger, bench = Ledger(3), Bench(directory=tmp_path)
    ledger.ended[1] = replace(ledger.left[1], state=TrialState.COMPLETED, metrics=METRICS)

    run(ledger, bench)

    assert bench.asked == [[0, 2]]


def test_it_stops_where_it_is_told_to(run, tmp_path):
    ledger, bench = Ledger(3), Bench(directory=tmp_path)
    ledger.wanted = JobState.CANCELLING

    assert run(ledger, bench) is JobState.CANCELLED
    assert bench.asked == []
