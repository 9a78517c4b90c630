"""The guided sampler of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from search.guidance import Guidance, guided_problem
from search.samplers.guided.sampler import STARTUP, GuidedSampler
from search.samplers.study import StudySampler

if TYPE_CHECKING:
    from search.spec import JobSpec
    from spaces import SearchSpace

LEAST_STARTUP: Final = 6


def make_guided(space: SearchSpace, spec: JobSpec, guidance: Guidance | None = None) -> StudySampler:
    """A study whose sampler is told what is known of the job.

    Args:
        space: to search.
        spec: the job.
        guidance: profile, reference and layers; without them sensitivities and costs are learned.
    """
    startup = max(LEAST_STARTUP, min(STARTUP, spec.budget.trials // 3))
    sampler = GuidedSampler(
        guided_problem(space, spec, guidance or Guidance()), seed=spec.seed, startup=startup
    )
    # It draws from its own seed and the trial's number, so one sampler serves all trials and keeps its state.
    return StudySampler(space, spec, lambda seed: sampler)
