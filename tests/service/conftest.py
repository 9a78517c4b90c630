"""A service without workers over a database of each kind, and one whose database holds a finished search."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from search.job import JobState
from search.spec import JobSpec
from service.app import create_app
from service.log import configure_log
from service.settings import Settings
from spaces import Metric, metrics_to_dict
from storage import ArtifactStore, Database, Results, Store, WorkerLock
from tests.contracts.samples import progress
from tests.service.samples import REFERENCE, SPEC, finished

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True, scope="session")
def _log():
    """As the service's processes have it; structlog's own default paints each error's trace for twenty seconds."""
    configure_log()


@pytest.fixture
def settings(database_url, tmp_path):
    return Settings(data_dir=tmp_path, database_url=database_url, workers=0)


@pytest.fixture
def store(settings):
    database = Database(settings.database_url)
    database.upgrade()
    yield Store(database)
    database.close()


@pytest.fixture
def results(store):
    return Results(store._database)


@pytest.fixture
def client(settings, store):
    with TestClient(
        create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False
    ) as client:
        yield client


@pytest.fixture
def searched(store, settings):
    """The id of a job that succeeded with five trials, of which three are on the front."""
    return finished_search(store, settings.data_dir)


def finished_search(store: Store, data_dir: Path, *, release: bool = True) -> str:
    artifacts = ArtifactStore(data_dir / "artifacts")
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    with WorkerLock(data_dir) as lock:
        claim = store.claim(lock)
        assert claim is not None
        claim.set_reference(REFERENCE)
        for number, trial in enumerate(finished(artifacts, data_dir)):
            claim.start(trial.__class__(trial.number, trial.policy, trial.point, trial.origin))
            claim.finish(trial, progress(number + 1, 5))
        test = Metric(0.97, "fraction", low=0.96, high=0.98, split="test")
        fallen = Metric(0.02, "fraction", low=0.01, high=0.03, split="test")
        claim.set_extras({1: metrics_to_dict({"accuracy_test": test, "accuracy_drop_test": fallen})})
        if release:
            claim.release(JobState.SUCCEEDED)
        else:
            claim.release(JobState.QUEUED)
    return job.id
