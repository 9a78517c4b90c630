import os
import time

import pytest

from service.janitor import collect, janitor
from storage import ArtifactStore
from tests.service.conftest import finished_search


@pytest.fixture
def artifacts(settings):
    return ArtifactStore(settings.artifacts_dir)


def stored(artifacts, path, content):
    path.write_bytes(content)
    return artifacts.put(path)


def test_what_no_trial_has_is_removed_and_what_one_has_stays(store, settings, artifacts, tmp_path):
    finished_search(store, settings.data_dir)
    used = set(artifacts.digests())
    orphan = stored(artifacts, tmp_path / "orphan", b"nobody's")
    assert collect(settings, store) == 0  # it may be about to get its row
    assert collect(settings, store, young_s=-1) == orphan.size_bytes
    assert set(artifacts.digests()) == used


def test_the_uncompressed_models_artifact_stays(store, settings, artifacts, tmp_path):
    from storage import WorkerLock
    from tests.contracts.samples import SPEC

    store.submit(SPEC)
    reference = stored(artifacts, tmp_path / "reference", b"uncompressed")
    with WorkerLock(settings.data_dir) as lock:
        store.claim(lock).set_reference({"metrics": {}, "artifact": {"digest": reference.digest}})
    assert collect(settings, store, young_s=-1) == 0
    assert list(artifacts.digests()) == [reference.digest]


def test_a_file_that_is_stored_again_meanwhile_stays(artifacts, tmp_path):
    reference = stored(artifacts, tmp_path / "a", b"again")
    os.utime(artifacts.path(reference.digest), (0, 0))
    stored(artifacts, tmp_path / "a", b"again")
    assert artifacts.discard(reference.digest, unused_for_s=60) == 0
    assert artifacts.verify(reference.digest) == reference
    assert artifacts.discard(reference.digest, unused_for_s=-1) == reference.size_bytes
    assert artifacts.discard(reference.digest, unused_for_s=-1) == 0


def test_what_killed_processes_left_is_removed(store, settings, artifacts, tmp_path):
    job = finished_search(store, settings.data_dir)
    half = settings.artifacts_dir / "incoming-x"
    half.write_bytes(b"half")
    over, of_nobody, others = (
        settings.scratch_dir / name for name in (f"{job}-1", "0000000000000000-1", "Mine")
    )
    for directory in (over, of_nobody, others):
        directory.mkdir(parents=True)
    assert collect(settings, store, young_s=-1) == 4
    assert not half.exists()
    assert [directory.exists() for directory in (over, of_nobody, others)] == [False, False, True]


def test_the_janitor_works_until_its_block_ends(store, settings, artifacts, tmp_path, monkeypatch):
    monkeypatch.setattr("service.janitor.PERIOD_S", 0.01)
    orphan = stored(artifacts, tmp_path / "orphan", b"nobody's")
    os.utime(artifacts.path(orphan.digest), (0, 0))
    told = []
    with janitor(settings, store, told.append):
        deadline = time.monotonic() + 10
        while sum(told) == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert sum(told) == orphan.size_bytes
    assert list(artifacts.digests()) == []
