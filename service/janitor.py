"""Removes files that nothing refers to: artifacts of jobs that are gone or keep none, and scratch."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from service.recurring import Recurring
from service.settings import Settings
from spaces import UnknownName
from storage import Store, open_artifacts

PERIOD_S: Final = 600.0
YOUNG_S: Final = 3600.0
"""A trial's file is stored before its row: one that is younger may be about to get it."""

DELETED_S: Final = 10.0
"""The same for a file whose last row has just been deleted, which only another job's trial could need."""

_SCRATCH: Final = re.compile(r"(?P<job>[a-z0-9]+)-(?P<attempt>\d+)")
_log = structlog.get_logger()


def collect(settings: Settings, store: Store, *, young_s: float = YOUNG_S) -> int:
    """Removes unused artifacts, half-written files, and scratch directories of attempts that are over.

    Args:
        settings: where files are.
        store: knows what is used.
        young_s: what is younger stays.

    Returns:
        The bytes of artifacts that were freed.

    Raises:
        StorageError: the database cannot serve, or a file cannot be removed.
    """
    artifacts = open_artifacts(settings.artifacts_dir, settings.artifacts_url)
    present = list(artifacts.digests())  # before the rows: a file that comes meanwhile is not looked at
    used = store.used_digests()
    freed = sum(artifacts.discard(digest, unused_for_s=young_s) for digest in present if digest not in used)
    freed += artifacts.sweep(older_than_s=young_s)
    for path in _abandoned(settings.scratch_dir, store, young_s):
        shutil.rmtree(path, ignore_errors=True)
    return freed


def _abandoned(scratch: Path, store: Store, young_s: float) -> list[Path]:
    found = []
    for path in scratch.glob("*"):
        match = _SCRATCH.fullmatch(path.name)
        with suppress(FileNotFoundError):
            if match is None or path.stat().st_mtime > time.time() - young_s:
                continue
            try:
                job = store.job(match["job"])
            except UnknownName:
                found.append(path)
                continue
            if job.state.is_final or job.attempt > int(match["attempt"]):
                found.append(path)
    return found


def janitor(settings: Settings, store: Store, tell: Callable[[int], None]) -> Recurring:
    """Collects now and then, inside its ``with`` block.

    Args:
        settings: of this process.
        store: knows what is used.
        tell: told how many bytes were freed.
    """

    def work() -> None:
        freed = collect(settings, store)
        tell(freed)
        if freed:
            _log.info("unused artifacts removed", size_bytes=freed)

    return Recurring(work, PERIOD_S, "cannot collect unused files; trying again later")
