"""Uniform random choice on every axis: the baseline that others must beat."""

from optuna.samplers import RandomSampler

from search.samplers.study import StudySampler
from search.spec import JobSpec
from spaces import SearchSpace


def make_random(space: SearchSpace, spec: JobSpec) -> StudySampler:
    """Optuna's random sampler."""
    return StudySampler(space, spec, lambda seed: RandomSampler(seed=seed))
