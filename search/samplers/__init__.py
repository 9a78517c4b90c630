"""Who proposes the next policy. The names are here, so that a job is checked without loading any sampler."""

import re
from typing import Any, Final

SAMPLERS: Final = ("guided", "nsga2", "random", "tpe")

OPTUNA_SAMPLER: Final = re.compile(r"optuna:[A-Za-z]+Sampler")
"""Any other sampler of Optuna by the name of its class; whether there is one is seen when a job runs."""

__all__ = ["OPTUNA_SAMPLER", "SAMPLERS", "GuidedSampler", "is_sampler"]


def is_sampler(name: str) -> bool:
    """One of `SAMPLERS`, or of the form ``optuna:TPESampler``."""
    return name in SAMPLERS or OPTUNA_SAMPLER.fullmatch(name) is not None


def __getattr__(name: str) -> Any:
    """Loads `GuidedSampler`, and optuna with it, when somebody asks for it."""
    if name != "GuidedSampler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from search.samplers.guided import GuidedSampler

    return GuidedSampler
