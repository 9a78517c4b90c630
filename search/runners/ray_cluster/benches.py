"""The evaluating process of a job, as it is made on whatever node its evaluator runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evaluators.targets import Target
from search.runners.bench import Bench, Limits
from search.runners.ray_cluster.measuring import Measuring
from search.spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class BenchOf:
    """Makes the process of a job; holds documents alone, so that it can be sent to other machines.

    Attributes:
        spec: of the job.
        target: that it names.
        limits: of each trial.
    """

    spec: dict[str, Any]
    target: dict[str, Any]
    limits: Limits

    def __call__(self, directory: Path, idle: Callable[[], None]) -> Bench:
        """A process that works in a directory; it starts when it is first used."""
        target = Target.from_dict(self.target)
        return Bench(
            JobSpec.from_dict(self.spec),
            directory,
            find_target=lambda name: target,
            limits=self.limits,
            allow_files=False,
            idle=idle,
            say=lambda message: None,
            measure=None if target.is_modelled else Measuring(self.target),
        )
