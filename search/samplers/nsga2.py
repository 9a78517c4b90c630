"""NSGA-II (Deb et al. 2002): crossover and mutation of the non-dominated."""

from typing import Final

from optuna.samplers import NSGAIISampler

from search.samplers.study import StudySampler
from search.spec import JobSpec
from spaces import SearchSpace

POPULATION: Final = 16
"""Small, since a budget is tens to hundreds of trials; Optuna's 50 would be random search for most jobs."""


def make_nsga2(space: SearchSpace, spec: JobSpec) -> StudySampler:
    """Optuna's NSGA-II; anchors join the first generation, which enqueued trials would not."""
    return StudySampler(
        space,
        spec,
        lambda seed: NSGAIISampler(population_size=POPULATION, seed=seed),
        anchor_state={"NSGAIISampler:generation": 0},
    )
