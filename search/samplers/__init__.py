"""Who proposes the next policy. The names are here, so that a job is checked without loading any sampler."""

import re
from typing import Any, Final

SAMPLERS: Final = ("guided", "nsga2", "random", "tpe")

OPTUNA_SAMPLER: Final = re.compile(r"optuna:[A-Za-z]+Sampler")
"""Any other sampler of Optuna by the name of its class; whether there is one is seen when a job runs."""

FOREIGN_SAMPLER: Final = re.compile(r"(?!optuna:)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
"""A sampler class of another package, OptunaHub's included: ``module.path:Class``. Using one imports code, so
whoever takes jobs from others allows each by name."""

__all__ = ["FOREIGN_SAMPLER", "OPTUNA_SAMPLER", "SAMPLERS", "GuidedSampler", "is_foreign", "is_sampler"]


def is_sampler(name: str) -> bool:
    """One of `SAMPLERS`, or of the form ``optuna:TPESampler`` or ``module.path:Class``."""
    return name in SAMPLERS or OPTUNA_SAMPLER.fullmatch(name) is not None or is_foreign(name)


def is_foreign(name: str) -> bool:
    """Of the form ``module.path:Class``: using it imports code that is not this product's."""
    return FOREIGN_SAMPLER.fullmatch(name) is not None


def __getattr__(name: str) -> Any:
    """Loads `GuidedSampler`, and optuna with it, when somebody asks for it."""
    if name != "GuidedSampler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from search.samplers.guided import GuidedSampler

    return GuidedSampler
