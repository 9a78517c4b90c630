"""Faults of what workers stand on: the database stops or is locked, and the disk is full."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from benchmarks.faults.ground import Ground, wait_until
from benchmarks.table import Row
from service.room import check_room
from service.settings import MIB, Settings
from spaces import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def stopped_database(ground: Ground, seconds: float) -> Row:
    """The database goes away in the middle of a job: a server is stopped at once, a file is locked."""
    (job_id,) = ground.submit(jobs=1, trials=6)
    worker = ground.start(trial_s=0.3, patience_s=60)
    wait_until(lambda: worker.has_said("started 1"), "the second trial")
    if ground.restart is not None:
        ground.restart()
    else:
        _lock(ground, seconds)
    ground.wait([job_id])
    count = ground.count([job_id])
    worker.kill()
    how = "stopped at once and started" if ground.restart is not None else f"locked for {seconds:g} s"
    return Row(f"{ground.kind}: database {how} in mid-job", "job goes on", str(count), "", count.is_whole)


def _lock(ground: Ground, seconds: float) -> None:
    path = ground.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        connection.execute("ROLLBACK")


def full_disk(kind: str, url: str, place: Path) -> Row:
    """A small disk fills up in the middle of a job; then there is room again, and nothing is repaired.

    Artifacts lie on the small disk, and so does the database where it is a file.
    """
    what = f"{kind}: disk full while a trial is stored"
    bar = "clear state, readyz false, recovery without repair"
    if os.geteuid() != 0:
        return Row(what, bar, "not tried: a small disk can be mounted by root alone")
    with small_disk(place, 24) as disk:
        here = url or f"sqlite:///{disk / 'tauten.db'}"
        with Ground(kind, here, disk) as ground:
            (job_id,) = ground.submit(jobs=1, trials=6)
            worker = ground.start(trial_s=0.2, patience_s=60, size_bytes=MIB)
            wait_until(lambda: worker.has_said("started 1"), "the second trial")
            filler = disk / "filler"
            _fill(filler)
            wait_until(lambda: worker.has_said("storage"), "the fault")
            settings = Settings(disk, here, min_free_bytes=4 * MIB)
            is_ready = _is_ready(settings, ground)
            filler.unlink()
            ground.wait([job_id])
            count = ground.count([job_id])
            holds = count.is_whole and not is_ready and _is_ready(settings, ground)
            ready = "readyz true when full" if is_ready else "readyz false when full, true afterwards"
            return Row(what, bar, str(count), ready, holds)


def _is_ready(settings: Settings, ground: Ground) -> bool:
    try:
        ground.database.check()
        check_room(settings, ground.database)
    except StorageError:
        return False
    return True


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"." * 65_536)
        except OSError:
            return


@contextmanager
def small_disk(place: Path, size_mib: int) -> Iterator[Path]:
    """A file system of some MiB in memory."""
    place.mkdir(parents=True, exist_ok=True)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        raise RuntimeError("no 'mount' on the PATH")
    subprocess.run([mount, "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(place)], check=True)  # noqa: S603
    try:
        yield place
    finally:
        subprocess.run([umount, "-l", str(place)], check=True)  # noqa: S603
