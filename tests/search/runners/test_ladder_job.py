"""A whole job on a ladder: real processes, short recoveries, a ledger in memory."""

import pytest

from search.job import JobState
from search.runners.local import LocalRunner, Surroundings
from search.spec import Bound, Budget, JobSpec
from search.trial import PROMOTION
from spaces import Recovery, SpaceRequest
from storage.artifacts import ArtifactStore
from tests.search.test_profiled_jobs import LIGHT, Ledger

pytestmark = pytest.mark.slow
SPACE = SpaceRequest(students=(None,), ratios=(0.0, 0.5), recovery=(Recovery(1.0),))


def test_candidates_climb_and_finalists_are_trained_again_before_a_job_ends(tmp_path):
    spec = JobSpec(
        LIGHT,
        objectives=("accuracy", "size_bytes"),
        constraints={"accuracy_drop": Bound(high=1.0)},  # the one finalist holds, so that the choice stays
        space=SPACE,
        sampler="random",
        budget=Budget(2),
        fidelity="ladder",
    )
    ledger = Ledger(spec, {})
    updated = {}
    ledger.update_trials = lambda trials: updated.update({trial.number: trial for trial in trials})

    around = Surroundings(tmp_path, ArtifactStore(tmp_path / "artifacts"), allow_files=True)
    LocalRunner(ledger, around).run()

    climbed = [t for t in ledger.ended if t.policy == ledger.ended[0].policy]
    assert ledger.state is JobState.SUCCEEDED
    assert [t.fidelity for t in climbed] == [0.0, 0.25, 1.0]
    assert [t.origin for t in climbed] == ["anchor", PROMOTION, PROMOTION]
    assert climbed[0].metrics["size_bytes"].value == pytest.approx(
        climbed[2].metrics["size_bytes"].value, rel=0.02
    )
    assert {ledger.ended[number].fidelity for number in updated} == {1.0}
    assert "finalist.skipped" not in dict(ledger.notes)
    assert dict(ledger.notes)["front.optimism"]["trial"] in updated
    assert [t.number for t in updated.values() if t.metrics["accuracy_drop"].again is not None]
