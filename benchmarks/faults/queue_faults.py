"""Faults of workers: killed, frozen, many at once, and with wrong clocks."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING, Final

from benchmarks.faults.ground import wait_until
from benchmarks.table import Row

if TYPE_CHECKING:
    from benchmarks.faults.ground import Ground, Worker


MOST_TRIALS: Final = 9
TRIAL_S: Final = 0.01


def killed_workers(ground: Ground, kills: int, seed: int) -> Row:
    """Workers are killed at random moments, again and again, and another takes over each time.

    The moments are a number of trials and a part of one, not seconds: where the machine is so loaded that no
    trial ends in time, five attempts in a row are without one, and the job rightly fails as poison.
    """
    generator = random.Random(seed)  # noqa: S311 - moments, not secrets
    ids = ground.submit(jobs=max(2, kills // 3), trials=5)
    for _ in range(kills):
        worker = ground.start(trial_s=TRIAL_S, patience_s=60)
        _let_work(ground, worker, ids, generator.randint(0, MOST_TRIALS))
        time.sleep(generator.uniform(0.0, 2 * TRIAL_S))
        worker.kill()
        if ground.are_final(ids):
            ids += ground.submit(jobs=2, trials=5)
    ground.start(trial_s=0.0, patience_s=60)
    ground.wait(ids)
    count = ground.count(ids)
    what = f"{ground.kind}: kill -9 of a worker, {kills} times over {len(ids)} jobs"
    return Row(what, "0 lost, 0 doubled, all end", str(count), f"{count.ended} ended", count.is_whole)


def _let_work(ground: Ground, worker: Worker, ids: list[str], trials: int) -> None:
    """Waits until a worker has taken a job and begun some trials, or there is nothing left to do."""
    wait_until(lambda: worker.has_said("took"), "a job is taken")
    wait_until(lambda: worker.count_said("started") >= trials or ground.are_final(ids), "a trial")


def claimed_once(ground: Ground, workers: int, jobs: int) -> Row:
    """Workers take jobs all at once."""
    ids = ground.submit(jobs=jobs, trials=1)
    started = [ground.start(patience_s=60) for _ in range(workers)]
    ground.wait(ids)
    taken = [line for worker in started for line in list(worker.said) if line.startswith("took")]
    count = ground.count(ids)
    attempts = {ground.job(job_id).attempt for job_id in ids}
    holds = count.is_whole and len(taken) == len(set(taken)) == jobs and attempts == {1}
    for worker in started:
        worker.kill()
    what = f"{ground.kind}: {workers} workers take {jobs} jobs"
    return Row(what, "each run once", f"{len(taken)} taken, {len(set(taken))} different", str(count), holds)


def frozen_worker(ground: Ground) -> Row:
    """A worker is stopped beyond its lease; another finishes its job; then it goes on and is refused."""
    (job_id,) = ground.submit(jobs=1, trials=3)
    frozen = ground.start(host="frozen", lease_s=2, trial_s=1.0, patience_s=60)
    wait_until(lambda: frozen.has_said("started 1"), "the second trial")
    frozen.send(signal.SIGSTOP)
    other = ground.start(host="other", lease_s=30, patience_s=60)
    ground.wait([job_id])
    before = ground.store.events(job_id)
    frozen.send(signal.SIGCONT)
    wait_until(lambda: frozen.has_said("lease lost"), "the refusal")
    count = ground.count([job_id])
    is_refused = ground.store.events(job_id) == before and not frozen.has_said("ended")
    for worker in (frozen, other):
        worker.kill()
    what = f"{ground.kind}: a worker stopped past its lease, then continued"
    measured = "refused, nothing written" if is_refused else "its writes were stored"
    return Row(what, "its writes are refused", measured, str(count), is_refused and count.is_whole)


def wrong_clocks(ground: Ground) -> Row:
    """Workers whose clocks are an hour early and an hour late take nothing from each other."""
    (job_id,) = ground.submit(jobs=1, trials=3)
    holder = ground.start(host="early", clock_s=-3600, lease_s=30, trial_s=0.4, patience_s=60)
    wait_until(lambda: holder.has_said("started"), "the first trial")
    late = ground.start(host="late", clock_s=3600, patience_s=60)
    ground.wait([job_id])
    kept = ground.job(job_id).attempt == 1 and not late.has_said(f"took {job_id}")
    (second,) = ground.submit(jobs=1, trials=3)
    wait_until(lambda: holder.has_said(f"took {second}") or late.has_said(f"took {second}"), "a claim")
    ground.wait([second])
    count = ground.count([job_id, second])
    for worker in (holder, late):
        worker.kill()
    what = f"{ground.kind}: clocks of two workers two hours apart"
    return Row(
        what,
        "nothing changes hands wrongly",
        "one attempt" if kept else f"{ground.job(job_id).attempt} attempts",
        str(count),
        kept and count.is_whole,
    )
