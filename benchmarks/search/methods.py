"""Who proposes: the guided sampler, parts of it, and Optuna's samplers with the same starts."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import optuna
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import create_trial

from benchmarks.search.setting import Run
from search.samplers.guided import GuidedSampler, Switches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.search.setting import Setting

Point = tuple[int, ...]
GROUPED: Final = 4
"""Axes that a method of grouped axes decides together."""

SEEDS: Final = 16
"""Points that a seeded start has: as many as the guided sampler tries before it asks its surrogate."""


@dataclass(frozen=True, slots=True)
class Method:
    """A sampler and how it is started.

    Attributes:
        make: the sampler for a setting and a seed.
        start: ``cold``; ``anchors``: the setting's anchors come first; ``seeds``: after them what the guided
            sampler takes from sweeps of the profile.
        profile: that is charged where it is measured, and that seeds come from.
        is_ours: depends on the guided sampler's code.
        most_trials: where more would take hours.
        is_grouped: neighbouring axes that are alike are decided together.
    """

    make: Callable[[Setting, int], BaseSampler]
    start: str = "cold"
    profile: str = "none"
    is_ours: bool = False
    most_trials: int = 200
    is_grouped: bool = False


def _guided(profile: str, **switches: bool) -> Method:
    return Method(
        lambda setting, seed: GuidedSampler(
            setting.problem(profile), seed=seed, switches=Switches(**switches)
        ),
        start="anchors",
        profile=profile,
        is_ours=True,
    )


def _nsga2(population: int, start: str = "cold") -> Method:
    profile = "good" if start == "seeds" else "none"
    return Method(
        lambda setting, seed: NSGAIISampler(population_size=population, seed=seed),
        start,
        profile,
        is_ours=start == "seeds",
    )


def _tpe(*, multivariate: bool, start: str = "cold") -> Method:
    profile = "good" if start == "seeds" else "none"
    return Method(
        lambda setting, seed: TPESampler(seed=seed, multivariate=multivariate),
        start,
        profile,
        is_ours=start == "seeds",
    )


METHODS: Final[dict[str, Method]] = {
    "guided": _guided("good"),
    "guided, poor profile": _guided("poor"),
    "guided, shuffled profile": _guided("shuffled"),
    "guided, no exploration": _guided("good", exploration=False),
    "anchored GP, no profile": _guided("none"),
    "sweep alone": _guided("good", feedback=False),
    "random": Method(lambda setting, seed: RandomSampler(seed=seed)),
    "NSGA-II 20": _nsga2(20),
    "NSGA-II 50": _nsga2(50),
    "TPE": _tpe(multivariate=False),
    "multivariate TPE": _tpe(multivariate=True),
    "anchored multivariate TPE": _tpe(multivariate=True, start="anchors"),
    "anchored NSGA-II 20": _nsga2(20, "anchors"),
    "seeded multivariate TPE": _tpe(multivariate=True, start="seeds"),
    "seeded NSGA-II 20": _nsga2(20, "seeds"),
    "GPSampler, grouped axes": Method(
        lambda setting, seed: GPSampler(seed=seed), most_trials=50, is_grouped=True
    ),
}
COLD: Final = ("random", "NSGA-II 20", "NSGA-II 50", "TPE", "multivariate TPE", "GPSampler, grouped axes")


def play(setting: Setting, method: Method, trials: int, seed: int) -> Run:
    """Runs a method for a number of trials, or for as many as it can, and keeps what it evaluated."""
    trials = min(trials, method.most_trials)
    study = _study(setting, method.make(setting, seed))
    for point in _start(setting, method, seed)[:trials]:
        _add(study, setting, point)
    if method.is_grouped:
        _propose_grouped(study, setting, trials)
    else:
        _propose(study, setting, trials)
    asked = study.get_trials(deepcopy=False)
    values = tuple((trial.values[0] / setting.best, *trial.values[1:]) for trial in asked)
    points = tuple(trial.user_attrs["point"] for trial in asked)
    return Run(values, setting.charge if method.profile != "none" else 0, points)


def _study(setting: Setting, sampler: BaseSampler) -> optuna.Study:
    costs = len(setting.evaluate(setting.anchors[0])) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        return optuna.create_study(
            directions=[StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * costs], sampler=sampler
        )


def _start(setting: Setting, method: Method, seed: int) -> Sequence[Point]:
    if method.start == "cold":
        return ()
    if method.start == "anchors":
        return setting.anchors
    seeded = Method(
        lambda own, number: GuidedSampler(own.problem(method.profile), seed=number), start="anchors"
    )
    return play(setting, seeded, SEEDS, seed).points


def _add(study: optuna.Study, setting: Setting, point: Point) -> None:
    distributions: Any = {name: IntDistribution(0, size - 1) for name, size in setting.axes.items()}
    study.add_trial(
        create_trial(
            params=dict(zip(setting.axes, point, strict=True)),
            distributions=distributions,
            values=setting.evaluate(point),
            user_attrs={"point": point},
            system_attrs={"NSGAIISampler:generation": 0},
        )
    )


def _propose(study: optuna.Study, setting: Setting, trials: int) -> None:
    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        point = tuple(trial.suggest_int(name, 0, size - 1) for name, size in setting.axes.items())
        trial.set_user_attr("point", point)
        return setting.evaluate(point)

    study.optimize(objective, n_trials=trials - len(study.trials))


def _propose_grouped(study: optuna.Study, setting: Setting, trials: int) -> None:
    """Axes of as many choices are one, a few at a time, so that a process of few dimensions can be fitted."""
    groups = grouped_axes(list(setting.axes.values()))

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        point = [0] * len(setting.axes)
        for index, (size, positions) in enumerate(groups):
            level = trial.suggest_int(f"group{index}", 0, size - 1)
            for position in positions:
                point[position] = level
        trial.set_user_attr("point", tuple(point))
        return setting.evaluate(tuple(point))

    study.optimize(objective, n_trials=trials - len(study.trials))


def grouped_axes(sizes: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Choices and positions of each group: at most `GROUPED` axes of as many choices, in their order."""
    found: list[tuple[int, list[int]]] = []
    filling: dict[int, list[int]] = {}
    for position, size in enumerate(sizes):
        if len(filling.get(size, ())) in {0, GROUPED}:
            filling[size] = []
            found.append((size, filling[size]))
        filling[size].append(position)
    return found
