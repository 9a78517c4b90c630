"""Where a worker's jobs run: on its own machine, or on the nodes of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from evaluators.targets import Target, list_targets
from search.spec import JobSpec
from service.settings import Settings
from spaces import TautenError

if TYPE_CHECKING:
    from search.runners.crew import Crew
    from search.runners.local import Surroundings

    MakeCrew = Callable[[Callable[[], None]], Crew]


class Place(Protocol):
    """What a worker asks of the place where it has jobs run."""

    def refusal(self, spec: JobSpec) -> str | None:
        """Why a job has to wait, in one line for a person; ``None`` where it can run."""
        ...

    def crew(self, spec: JobSpec, surroundings: Surroundings) -> MakeCrew | None:
        """Who evaluates a job's trials; ``None`` for processes on this machine."""
        ...

    def close(self) -> None:
        """Lets go of it."""
        ...


class Here:
    """This machine."""

    def refusal(self, spec: JobSpec) -> str | None:
        """Nothing has to wait for more than a worker."""
        return None

    def crew(self, spec: JobSpec, surroundings: Surroundings) -> MakeCrew | None:
        """Processes of this machine."""
        return None

    def close(self) -> None:
        """Nothing is held."""


class OnRay:
    """A Ray cluster, joined when a job first asks for it, and again after it could not be reached.

    Args:
        address: of its head; ``None`` starts one on this machine.
        find_target: gives the target of a name.
        targets: measured targets of this machine, for a cluster that is started here.
    """

    def __init__(
        self, address: str | None, find_target: Callable[[str], Target], targets: tuple[str, ...] = ()
    ) -> None:
        self._address, self._find_target, self._targets = address, find_target, targets
        self._is_joined = False

    def refusal(self, spec: JobSpec) -> str | None:
        """The cluster cannot be reached, or none of its nodes has what the job asks for."""
        from search.runners.ray_cluster import shortage

        try:
            self._join()
            target = self._find_target(spec.target)
            return shortage(spec.resources, None if target.is_modelled else target.name)
        except TautenError as error:
            return str(error)

    def crew(self, spec: JobSpec, surroundings: Surroundings) -> MakeCrew | None:
        """Evaluators on the cluster's nodes."""
        from search.runners.ray_cluster import BenchOf, RayCrew

        target = self._find_target(spec.target)
        make = BenchOf(spec.to_dict(), target.to_dict(), surroundings.limits)
        measured = None if target.is_modelled else target.name
        return lambda idle: RayCrew(
            make,
            spec.workers,
            spec.resources,
            surroundings.directory / "back",
            idle,
            target=measured,
            trial_s=surroundings.limits.trial_s,
        )

    def close(self) -> None:
        """Leaves the cluster; one that was started here ends."""
        if self._is_joined:
            from search.runners.ray_cluster import leave

            leave()
            self._is_joined = False

    def _join(self) -> None:
        from search.runners.ray_cluster import connect, is_connected

        if not self._is_joined or not is_connected():
            self.close()
            connect(self._address, self._targets)
            self._is_joined = True


def place_of(settings: Settings, find_target: Callable[[str], Target]) -> Place:
    """Where the workers of these settings have jobs run."""
    if settings.runner == "local":
        return Here()
    measured = tuple(
        name for name, target in list_targets(settings.targets_dir).items() if not target.is_modelled
    )
    return OnRay(settings.ray_address, find_target, measured)
