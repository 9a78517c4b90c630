"""A whole job with a profile: real processes, a ledger in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from search.job import Job, JobState, Progress
from search.runners.local import LocalRunner, Surroundings
from search.spec import Budget, JobSpec
from spaces import SpaceRequest
from storage.artifacts import ArtifactStore

pytestmark = pytest.mark.slow
LIGHT = f"{Path(__file__).parents[1] / 'service' / 'light.py'}:factory"
SPACE = SpaceRequest(students=(None,), ratios=(0.0, 0.5), recovery=(None,))


class Ledger:
    """Everything that a runner writes, kept in lists."""

    def __init__(self, spec, profiles):
        self.job = Job("j", spec, JobState.RUNNING, None, 1, Progress(), datetime.now(UTC))
        self.profiles, self.notes, self.ended, self.state = profiles, [], [], None
        self.heartbeat = lambda: JobState.RUNNING
        self.trials = lambda: self.ended
        self.lost = list
        self.start = self.update_trials = self.set_extras = lambda *_: None
        self.stored_profile = profiles.get
        self.store_profile = profiles.__setitem__

    def finish(self, trial, progress):
        self.ended.append(trial)

    def set_reference(self, reference):
        self.job.reference.update(reference)

    def note(self, kind, data):
        self.notes.append((kind, data))

    def release(self, state, reason=None):
        self.state = state


def run(tmp_path, name, profiles, trials, **more):
    objectives = ("accuracy", "size_bytes")
    spec = JobSpec(LIGHT, objectives=objectives, space=SPACE, budget=Budget(trials), **more)
    ledger = Ledger(spec, profiles)
    directory = tmp_path / name
    directory.mkdir()
    around = Surroundings(directory, ArtifactStore(tmp_path / "artifacts"), allow_files=True)
    LocalRunner(ledger, around).run()
    return ledger


def test_a_profile_is_taken_once_and_then_guides_both_jobs_alike(tmp_path):
    profiles = {}

    first = run(tmp_path, "first", profiles, 6)
    second = run(tmp_path, "second", profiles, 6)

    assert first.state is second.state is JobState.SUCCEEDED
    assert [kind for kind, _ in first.notes if kind.startswith("profile.")] == ["profile.taken"]
    assert [kind for kind, _ in second.notes if kind.startswith("profile.")] == []
    assert len(profiles) == 1
    assert [trial.policy for trial in first.ended] == [trial.policy for trial in second.ended]
    assert {trial.origin for trial in first.ended} == {"anchor", "guided"}


def test_no_profile_is_taken_where_none_is_asked_for(tmp_path):
    profiles = {}

    ledger = run(tmp_path, "none", profiles, 1, profile="none")

    assert ledger.state is JobState.SUCCEEDED
    assert profiles == {}
