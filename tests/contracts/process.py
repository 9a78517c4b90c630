"""A worker in a process of its own: ``python -m tests.contracts.process URL DATA_DIR MODE``.

It says ``ready``, waits for a line, does what MODE says and prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from search.job import JobState
from storage import Database, Store, WorkerLock
from tests.contracts.samples import finished, progress, running


def hold(store: Store, worker: WorkerLock) -> None:
    """Holds a job with one trial ended and one running, until killed; a child process outlives it."""
    claim = store.claim(worker)
    assert claim is not None
    claim.finish(finished(0), progress(1))
    claim.start(running(1))
    from_child, to_parent = os.pipe()
    if os.fork() == 0:
        os.write(to_parent, b"1")
        sys.stdin.read()
        os._exit(0)
    os.read(from_child, 1)
    print(json.dumps(worker.id), flush=True)
    sys.stdin.read()


def drain(store: Store, worker: WorkerLock) -> None:
    """Claims and ends all that waits and tells the ids."""
    taken = []
    while (claim := store.claim(worker)) is not None:
        claim.release(JobState.SUCCEEDED)
        taken.append(claim.job.id)
    print(json.dumps(taken), flush=True)


def upgrade(store: Store, worker: WorkerLock) -> None:
    """Brings the schema up."""
    store._database.upgrade()
    store._database.check()
    print(json.dumps("upgraded"), flush=True)


def main(url: str, data_dir: str, mode: str) -> None:
    database = Database(url)
    with WorkerLock(Path(data_dir)) as worker:
        print("ready", flush=True)
        sys.stdin.readline()
        {"hold": hold, "drain": drain, "upgrade": upgrade}[mode](Store(database), worker)
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
