"""Who proposes: the guided sampler, parts of it, and Optuna's samplers with the same start."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import optuna
from optuna.distributions import IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import create_trial

from benchmarks.search.setting import Run
from search.samplers.guided import GuidedSampler, Switches

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.search.setting import Setting


@dataclass(frozen=True, slots=True)
class Method:
    """A sampler and how it is started.

    Attributes:
        make: the sampler for a setting and a seed.
        anchored: the setting's anchors come first.
        profiled: the profile is charged.
    """

    make: Callable[[Setting, int], BaseSampler]
    anchored: bool = False
    profiled: bool = False


def _guided(profile: str, **switches: bool) -> Method:
    return Method(
        lambda setting, seed: GuidedSampler(
            setting.problem(profile), seed=seed, switches=Switches(**switches)
        ),
        anchored=True,
        profiled=profile != "none",
    )


def _tpe(seed: int, *, multivariate: bool) -> BaseSampler:
    return TPESampler(seed=seed, multivariate=multivariate)


METHODS: Final[dict[str, Method]] = {
    "guided": _guided("good"),
    "guided, poor profile": _guided("poor"),
    "guided, shuffled profile": _guided("shuffled"),
    "guided, no exploration": _guided("good", exploration=False),
    "anchored GP, no profile": _guided("none"),
    "sweep alone": _guided("good", feedback=False),
    "random": Method(lambda setting, seed: RandomSampler(seed=seed)),
    "NSGA-II 20": Method(lambda setting, seed: NSGAIISampler(population_size=20, seed=seed)),
    "NSGA-II 50": Method(lambda setting, seed: NSGAIISampler(population_size=50, seed=seed)),
    "TPE": Method(lambda setting, seed: _tpe(seed, multivariate=False)),
    "multivariate TPE": Method(lambda setting, seed: _tpe(seed, multivariate=True)),
    "anchored multivariate TPE": Method(lambda setting, seed: _tpe(seed, multivariate=True), anchored=True),
    "anchored NSGA-II 20": Method(
        lambda setting, seed: NSGAIISampler(population_size=20, seed=seed), anchored=True
    ),
}
COLD: Final = ("random", "NSGA-II 20", "NSGA-II 50", "TPE", "multivariate TPE")


def play(setting: Setting, method: Method, trials: int, seed: int) -> Run:
    """Runs a method for a number of trials and keeps what it evaluated."""
    costs = len(setting.evaluate(setting.anchors[0])) - 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(
            directions=[StudyDirection.MAXIMIZE, *[StudyDirection.MINIMIZE] * costs],
            sampler=method.make(setting, seed),
        )
    distributions = {name: IntDistribution(0, size - 1) for name, size in setting.axes.items()}
    for point in setting.anchors if method.anchored else ():
        study.add_trial(
            create_trial(
                params=dict(zip(setting.axes, point, strict=True)),
                distributions=distributions,  # type: ignore[arg-type]
                values=setting.evaluate(point),
                system_attrs={"NSGAIISampler:generation": 0},
            )
        )

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        return setting.evaluate(
            tuple(trial.suggest_int(name, 0, size - 1) for name, size in setting.axes.items())
        )

    study.optimize(objective, n_trials=trials - len(study.trials))
    values = tuple(tuple(trial.values) for trial in study.get_trials(deepcopy=False))
    return Run(values, setting.charge if method.profiled else 0)
