"""Any sampler of Optuna by the name of its class, such as ``optuna:NSGAIIISampler``."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseSampler

from search.samplers.study import StudySampler
from spaces import InvalidSpec

if TYPE_CHECKING:
    from search.spec import JobSpec
    from spaces import SearchSpace


def make_named(space: SearchSpace, spec: JobSpec) -> StudySampler:
    """A study with the named sampler, made with a seed and Optuna's other defaults.

    Raises:
        InvalidSpec: Optuna has no such sampler, or it takes no seed, needs more arguments, or refuses studies
            of several objectives; with a pointer to ``/sampler``.
    """
    name = spec.sampler.removeprefix("optuna:")
    kind = getattr(optuna.samplers, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, BaseSampler)) or inspect.isabstract(kind):
        known = sorted(name for name in optuna.samplers.__all__ if name.endswith("Sampler"))
        raise InvalidSpec.at("/sampler", f"optuna has no sampler {name!r}; it has: {', '.join(known)}")

    def make(seed: int) -> BaseSampler:
        construct: Any = kind  # the base class takes no seed; most of its subclasses do
        sampler: BaseSampler = construct(seed=seed)
        return sampler

    try:
        sampler = StudySampler(space, spec, make, anchor_state={"NSGAIISampler:generation": 0})
        StudySampler(space, spec, make).ask(0)
    except (TypeError, ValueError, ImportError) as error:
        detail = f"optuna's {name} cannot be used here: {' '.join(str(error).split())}"
        raise InvalidSpec.at("/sampler", detail) from error
    return sampler
