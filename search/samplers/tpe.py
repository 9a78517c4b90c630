"""Multi-objective tree-structured Parzen estimation (Ozaki et al. 2022); axes are drawn jointly."""

from typing import Final

from optuna.samplers import TPESampler

from search.samplers.study import StudySampler
from search.spec import JobSpec
from spaces import SearchSpace

STARTUP: Final = 10
"""Trials before the model is trusted; anchors count."""


def make_tpe(space: SearchSpace, spec: JobSpec) -> StudySampler:
    """Optuna's TPE; `group` lets each student have axes of its own."""
    return StudySampler(
        space,
        spec,
        lambda seed: TPESampler(
            seed=seed,
            n_startup_trials=STARTUP,
            multivariate=True,
            group=True,
            constant_liar=True,
            warn_independent_sampling=False,
        ),
    )
