import os
import re
import time

import pytest

from spaces import StorageError
from storage import WorkerLock


def test_a_workers_name_tells_its_machine_and_boot(tmp_path):
    first, second = WorkerLock(tmp_path, host="Node 1/ä"), WorkerLock(tmp_path, host="Node 1/ä")
    assert re.fullmatch(r"node\.1\.-[0-9a-f]{10}-[0-9a-f]{12}", first.id)
    assert first.id != second.id
    assert first.id.rpartition("-")[0] == second.id.rpartition("-")[0]


def test_a_lock_is_held_inside_its_block(tmp_path):
    worker = WorkerLock(tmp_path)
    assert not worker.is_held
    with worker:
        assert worker.is_held
        assert (tmp_path / "locks" / f"{worker.id}.lock").is_file()
    assert not worker.is_held


def test_a_worker_is_dead_when_its_lock_is_free(tmp_path):
    with WorkerLock(tmp_path) as observer:
        with WorkerLock(tmp_path) as worker:
            assert not observer.sees_dead(worker.id)
            assert not worker.sees_dead(worker.id)
            assert not observer.sees_dead(worker.id)  # looking frees nothing
        assert observer.sees_dead(worker.id)


def test_what_cannot_be_seen_is_not_dead(tmp_path):
    with WorkerLock(tmp_path) as observer:
        with WorkerLock(tmp_path, host="elsewhere") as stranger, WorkerLock(tmp_path / "other") as apart:
            pass
        assert not observer.sees_dead(stranger.id)
        assert not observer.sees_dead(apart.id)
        assert not observer.sees_dead("")


def test_a_forked_child_does_not_keep_its_parent_alive(tmp_path):
    from_child, to_parent = os.pipe()
    from_parent, to_child = os.pipe()
    with WorkerLock(tmp_path) as observer:
        with WorkerLock(tmp_path) as worker:
            child = os.fork()
            if child == 0:
                os.write(to_parent, b"1")
                os.read(from_parent, 1)
                os._exit(0)
            os.read(from_child, 1)
            assert not observer.sees_dead(worker.id)
        assert observer.sees_dead(worker.id)
    os.write(to_child, b"1")
    assert os.waitpid(child, 0)[1] == 0
    for descriptor in (from_child, to_parent, from_parent, to_child):
        os.close(descriptor)


def test_old_files_of_dead_workers_are_removed(tmp_path):
    with WorkerLock(tmp_path) as alive:
        with WorkerLock(tmp_path) as dead, WorkerLock(tmp_path) as recent:
            pass
        for worker in (alive, dead):
            long_ago = time.time() - 100_000
            os.utime(tmp_path / "locks" / f"{worker.id}.lock", (long_ago, long_ago))
        with WorkerLock(tmp_path) as new:
            left = {path.stem for path in (tmp_path / "locks").iterdir()}
    assert left == {alive.id, recent.id, new.id}


def test_a_lock_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "locks").touch()
    with pytest.raises(StorageError, match="cannot lock"), WorkerLock(tmp_path):
        pass
