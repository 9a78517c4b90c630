from types import SimpleNamespace

from search.runners.local import LocalRunner, Surroundings
from search.samplers.guided.belief import Insight
from search.spec import Budget, JobSpec
from storage.artifacts import ArtifactStore
from tests.search.test_profiled_jobs import Ledger


def engine(weight):
    return SimpleNamespace(insight=Insight(24, 0.3 * weight, weight, 1.0, 0.03))


def test_an_event_says_when_the_profile_weighs_less_and_not_again_until_it_changes(tmp_path):
    ledger = Ledger(JobSpec("digits-cnn", budget=Budget(8)), {})
    runner = LocalRunner(ledger, Surroundings(tmp_path, ArtifactStore(tmp_path / "artifacts")))

    for weight in (1.0, 0.95, 0.5, 0.5, 0.45, 0.0):
        runner._tell_insight(engine(weight))
    runner._tell_insight(SimpleNamespace(insight=None))

    told = [data for kind, data in ledger.notes if kind == "profile.weight"]
    assert [data["weight"] for data in told] == [0.5, 0.0]
    assert told[0] == {"weight": 0.5, "rank_correlation": 0.15, "results": 24}
