"""A worker: takes jobs from the queue, one at a time, and runs them; ``python -m service.worker``."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog

from evaluators.targets import Target, find_target
from search.job import JobState
from search.runners.local import LocalRunner, Surroundings
from search.runners.retargeting import RetargetRunner
from service.attendance import Attendance
from service.log import configure_log
from service.places import Place, place_of
from service.room import check_room
from service.settings import Settings
from spaces import LeaseLost, StorageError
from storage import Claim, Database, Store, WorkerLock, open_artifacts

POLL_S: Final = 0.5
RETRY_S: Final = 2.0
LOOK_S: Final = 1.0
"""Between two looks at what waits for a cluster and at what that has."""

_log = structlog.get_logger()


def run_worker(settings: Settings, stop: threading.Event) -> None:
    """Runs jobs until it is told to stop; the job that is running then goes back to the queue.

    Args:
        settings: where database and files are, and whose jobs are taken.
        stop: set it to end the loop.
    """
    database = Database(settings.database_url)
    place = place_of(settings, _finder(settings))
    try:
        with WorkerLock(settings.data_dir) as lock, Attendance(database, lock.id, settings.offers):
            structlog.contextvars.bind_contextvars(worker=lock.id)
            while not stop.is_set():
                try:
                    wait_s = _take_one(settings, database, lock, place, stop)
                except LeaseLost as error:
                    _log.warning("the job is another worker's now", reason=str(error))
                    wait_s = 0.0
                except StorageError as error:
                    _log.error("the database or the disk cannot serve; trying again", reason=str(error))
                    wait_s = RETRY_S
                stop.wait(wait_s)
    finally:
        place.close()
        database.close()


def _finder(settings: Settings, *, allow_files: bool = False) -> Callable[[str], Target]:
    return partial(find_target, directory=settings.targets_dir, allow_files=allow_files)


def _take_one(
    settings: Settings, database: Database, lock: WorkerLock, place: Place, stop: threading.Event
) -> float:
    """Takes a job and runs it; returns the seconds to wait before the next."""
    check_room(settings, database)
    store = Store(database)
    only = None if settings.runner == "local" else _admitted(store, settings, place)
    claim = store.claim(lock, offers=settings.offers, runner=settings.runner, only=only)
    if claim is None:
        return POLL_S if only is None else LOOK_S
    try:
        run_claim(claim, settings, store, stop.is_set, place=place)
    except LeaseLost:
        raise
    except StorageError as error:
        _give_back(claim, str(error), stop)
        raise
    except Exception as error:  # noqa: BLE001 - a fault of one job must not end the worker
        _log.exception("the job ended this attempt", job=claim.job.id)
        claim.give_up(" ".join(f"{type(error).__name__}: {error}".split()))
        return RETRY_S
    return 0.0


def _admitted(store: Store, settings: Settings, place: Place) -> list[str]:
    """Ids of the waiting jobs that the place can run; the others are told why they wait."""
    admitted = []
    for job in store.waiting(offers=settings.offers, runner=settings.runner):
        why = place.refusal(job.spec)
        if why is None:
            admitted.append(job.id)
        elif why != job.reason:
            store.explain(job.id, why)
    return admitted


def _give_back(claim: Claim, why: str, stop: threading.Event) -> None:
    """Puts a job back that could not go on; it waits for the disk or the database, and no attempt is counted.

    Where even that cannot be stored until the worker stops, the job is found without its worker later.
    """
    while True:
        try:
            claim.release(JobState.QUEUED, why)
        except LeaseLost:
            return
        except StorageError as error:
            _log.error("the job cannot be put back yet", job=claim.job.id, reason=str(error))
            if stop.wait(RETRY_S):
                return
        else:
            return


def run_claim(
    claim: Claim,
    settings: Settings,
    store: Store,
    should_stop: Callable[[], bool],
    *,
    place: Place | None = None,
    allow_files: bool = False,
    say: Callable[[dict[str, Any]], None] = lambda message: None,
) -> None:
    """Runs a job that is held, in a scratch directory of its own.

    Args:
        claim: the job.
        settings: where files are.
        store: remembers the workload's layers.
        should_stop: the job is to go back to the queue.
        allow_files: the workload may be ``path.py:factory``, and the sampler any that can be imported; never
            for a job that came by HTTP.
        place: where its trials are evaluated; this machine if ``None``.
        say: told of stages and of the running trial's share.
    """
    scratch = settings.scratch_dir / f"{claim.job.id}-{claim.job.attempt}"
    structlog.contextvars.bind_contextvars(job=claim.job.id)
    _log.info("job taken", attempt=claim.job.attempt)
    try:
        surroundings = Surroundings(
            scratch,
            open_artifacts(settings.artifacts_dir, settings.artifacts_url),
            remember=store.put_inventory,
            should_stop=should_stop,
            allow_files=allow_files,
            may_import=lambda sampler: allow_files or sampler in settings.samplers,
            find_target=_finder(settings, allow_files=allow_files),
            say=say,
        )
        make_crew = None if place is None else place.crew(claim.job.spec, surroundings)
        make = LocalRunner if claim.job.spec.source is None else RetargetRunner
        state = make(claim, surroundings, make_crew).run()
        _log.info("job left", state=str(state))
    finally:
        structlog.contextvars.unbind_contextvars("job")
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> None:
    """The command line of the process; people use ``tauten worker``.

    The database's address may hold a password, so it comes as ``TAUTEN_DATABASE`` and not as an argument.
    """
    parser = argparse.ArgumentParser(prog="python -m service.worker")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--supervised", action="store_true", help="stop when standard input closes")
    arguments = parser.parse_args()
    settings = Settings.load(data_dir=arguments.data)
    configure_log(log_format=settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if arguments.supervised:
        threading.Thread(target=_wait_for_end, args=(stop,), daemon=True).start()
    run_worker(settings, stop)


def _wait_for_end(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    main()
