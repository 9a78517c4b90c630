"""A worker: takes jobs from the queue, one at a time, and runs them; ``python -m service.worker``."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from search.runners.local import LocalRunner, Surroundings
from service.settings import Settings
from spaces import LeaseLost, StorageError
from storage import ArtifactStore, Claim, Database, Store, WorkerLock

POLL_S: Final = 0.5
RETRY_S: Final = 2.0
_log = structlog.get_logger()


def run_worker(settings: Settings, stop: threading.Event) -> None:
    """Runs jobs until it is told to stop; the job that is running then goes back to the queue.

    Args:
        settings: where database and files are.
        stop: set it to end the loop.
    """
    database = Database(settings.database_url)
    store = Store(database)
    try:
        with WorkerLock(settings.data_dir) as lock:
            while not stop.is_set():
                try:
                    claim = store.claim(lock)
                    if claim is None:
                        stop.wait(POLL_S)
                        continue
                    run_claim(claim, settings, store, stop.is_set)
                except LeaseLost as error:
                    _log.warning("the job is another worker's now", reason=str(error))
                except StorageError as error:
                    _log.error("the database cannot serve; trying again", reason=str(error))
                    stop.wait(RETRY_S)
    finally:
        database.close()


def run_claim(
    claim: Claim,
    settings: Settings,
    store: Store,
    should_stop: Callable[[], bool],
    *,
    allow_files: bool = False,
    say: Callable[[dict[str, Any]], None] = lambda message: None,
) -> None:
    """Runs a job that is held, in a scratch directory of its own.

    Args:
        claim: the job.
        settings: where files are.
        store: remembers the workload's layers.
        should_stop: the job is to go back to the queue.
        allow_files: the workload may be ``path.py:factory``; never for a job that came by HTTP.
        say: told of stages and of the running trial's share.
    """
    scratch = settings.scratch_dir / f"{claim.job.id}-{claim.job.attempt}"
    log = _log.bind(job=claim.job.id)
    log.info("job taken", attempt=claim.job.attempt)
    try:
        surroundings = Surroundings(
            scratch,
            ArtifactStore(settings.artifacts_dir),
            remember=store.put_inventory,
            should_stop=should_stop,
            allow_files=allow_files,
            say=say,
        )
        state = LocalRunner(claim, surroundings).run()
        log.info("job left", state=str(state))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> None:
    """The command line of the process; people use ``tauten worker``."""
    parser = argparse.ArgumentParser(prog="python -m service.worker")
    parser.add_argument("--database", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--supervised", action="store_true", help="stop when standard input closes")
    arguments = parser.parse_args()
    configure_log()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if arguments.supervised:
        threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    run_worker(Settings.load(data_dir=arguments.data, database_url=arguments.database), stop)


def configure_log(level: int = logging.INFO) -> None:
    """Logs lines of key and value to standard error.

    Args:
        level: what is less is left out.
    """
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _wait_for_end(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    main()
