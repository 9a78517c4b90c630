"""What a job is expected to cost before it is submitted, by what earlier jobs of its workload have cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from search.finalists import SEEDS, most_finalists
from search.profile import profile_key
from search.spec import MAX_TRIALS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from search.job import Job
    from search.spec import JobSpec
    from service.checking import Checked
    from service.context import Context

GUIDED: Final = "guided"
RECENT: Final = 20
"""Jobs of the workload that are looked at, newest first."""


@dataclass(frozen=True, slots=True)
class Preview:
    """Seconds; ``None`` is unknown.

    Attributes:
        trial_s: of a trial.
        profile_s: of the profile that is measured first; 0 where none is, or where it is stored already.
        finalists_s: most that finalists may take, trained again in the end.
        expected_s: of the whole job; at most its budget of seconds and a trial.
        based_on: the job that the times come from.
    """

    trial_s: float | None
    profile_s: float | None
    finalists_s: float | None
    expected_s: float | None
    based_on: str | None


def preview(checked: Checked, context: Context) -> Preview:
    """The cost of a job that could be submitted.

    Times are those of the workload's latest job that has done trials, on the same target where there is one.

    Args:
        checked: the job and its space.
        context: of the service.
    """
    spec = checked.spec
    jobs = context.store.jobs(limit=RECENT, workload=spec.workload).items
    recent = sorted(jobs, key=lambda job: job.spec.target != spec.target)
    timed = next((job for job in recent if job.progress.done), None)
    profile_s = _profile_s(checked, context, recent)
    if timed is None:
        return Preview(None, profile_s, None, spec.budget.wall_s, None)
    trial_s = timed.progress.elapsed_s / timed.progress.done
    finalists_s = SEEDS * most_finalists(spec) * trial_s
    trials_s = math.inf if spec.budget.trials == MAX_TRIALS else spec.budget.trials * trial_s
    expected_s = (profile_s or 0.0) + trials_s + finalists_s
    if spec.budget.wall_s is not None:
        expected_s = min(expected_s, spec.budget.wall_s + trial_s)
    return Preview(trial_s, profile_s, finalists_s, expected_s, timed.id)


def _profile_s(checked: Checked, context: Context, recent: Iterable[Job]) -> float | None:
    """Seconds of the profile, by one that was measured for an earlier job."""
    spec = checked.spec
    if spec.sampler != GUIDED or spec.profile == "none":
        return 0.0
    for job in recent:
        if checked.space is not None and _same_question(job.spec, spec) and "provenance" in job.reference:
            key = profile_key(checked.space, job.reference["provenance"], spec.profile, spec.seed)
            if context.results.stored_profile(key) is not None:
                return 0.0
    for job in recent:
        document = context.results.profile(job.id)
        if document is not None and document["kind"] == spec.profile:
            return float(document["seconds"])
    return None


def _same_question(one: JobSpec, other: JobSpec) -> bool:
    """Both are of the same model on the same target."""
    return one.workload == other.workload and one.target == other.target
