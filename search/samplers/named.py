"""Any sampler by the name of its class: one of Optuna's, ``optuna:NSGAIIISampler``, or ``module:Class``."""

from __future__ import annotations

import inspect
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import optuna
from optuna.samplers import BaseSampler

from search.samplers import is_foreign
from search.samplers.study import StudySampler
from spaces import InvalidSpec

if TYPE_CHECKING:
    from search.spec import JobSpec
    from spaces import SearchSpace


def make_named(space: SearchSpace, spec: JobSpec) -> StudySampler:
    """A study with the named sampler, made with a seed and its other defaults.

    Whoever runs jobs for others has checked that the name is allowed: a foreign one is imported here.

    Raises:
        InvalidSpec: there is no such sampler, or it takes no seed, needs more arguments, or refuses studies
            of several objectives; with a pointer to ``/sampler``.
    """
    kind = _foreign(spec.sampler) if is_foreign(spec.sampler) else _optunas(spec.sampler)

    def make(seed: int) -> BaseSampler:
        sampler: BaseSampler = kind(seed=seed)  # the base class takes no seed; most of its subclasses do
        return sampler

    try:
        sampler = StudySampler(space, spec, make, anchor_state={"NSGAIISampler:generation": 0})
        StudySampler(space, spec, make).ask(0)
    except (TypeError, ValueError, ImportError) as error:
        detail = f"{spec.sampler} cannot be used here: {' '.join(str(error).split())}"
        raise InvalidSpec.at("/sampler", detail) from error
    return sampler


def _optunas(sampler: str) -> Any:
    name = sampler.removeprefix("optuna:")
    kind = getattr(optuna.samplers, name, None)
    if not _is_sampler_class(kind):
        known = sorted(name for name in optuna.samplers.__all__ if name.endswith("Sampler"))
        raise InvalidSpec.at("/sampler", f"optuna has no sampler {name!r}; it has: {', '.join(known)}")
    return kind


def _foreign(sampler: str) -> Any:
    try:
        kind = resolve_name(sampler)
    except (ImportError, AttributeError) as error:
        detail = f"{sampler} cannot be imported: {' '.join(str(error).split())}; install its package"
        raise InvalidSpec.at("/sampler", detail) from error
    if not _is_sampler_class(kind):
        raise InvalidSpec.at("/sampler", f"{sampler} is no sampler of the kind that Optuna takes")
    return kind


def _is_sampler_class(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, BaseSampler) and not inspect.isabstract(kind)
