"""What takes the place of a measuring process on a modelled target: the same answers, from its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluators.backends import Execution
from evaluators.latency import BASELINE, Timing
from evaluators.meter import Meter
from evaluators.modelled.graph_costs import read_costs
from evaluators.modelled.roofline import Roofline
from spaces import Method, Metric

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evaluators.modelled.graph_costs import KernelCost
    from evaluators.runtime import Array
    from evaluators.targets import Target
    from spaces import Metrics


def make_meter(target: Target) -> Meter | ModelledMeter:
    """What gives latencies on a target."""
    if target.is_modelled:
        return ModelledMeter(target)
    return Meter(Execution(target.backend, target.backend_options, target.threads, target.pin))


class ModelledMeter:
    """Computes the latency and energy of artifacts; the interface is that of `evaluators.meter.Meter`.

    Args:
        target: modelled.

    Raises:
        InvalidTarget: the target has no figures.
    """

    def __init__(self, target: Target) -> None:
        self._target, self._roofline = target, Roofline(target)
        self._known: dict[tuple[str, int, int], list[KernelCost]] = {}

    def measure(
        self,
        artifacts: Mapping[str, Path],
        inputs: Mapping[str, Array],
        *,
        seed: int = 0,
        quiet_ms: float | None = None,
    ) -> dict[str, Timing]:
        """One call of each artifact, against the one named ``baseline``.

        Args:
            artifacts: files by name; one is named `evaluators.latency.BASELINE`.
            inputs: the feed of one call.
            seed: not used; there is nothing random.
            quiet_ms: not used.

        Returns:
            Exact numbers, or, where the target was calibrated, with the interval that held 95 % of the errors
            on samples that the fit had not seen.

        Raises:
            DeploymentError: ONNX Runtime refuses an artifact.
        """
        found_ms = {
            name: self._roofline.latency_ms(self._costs(path, inputs)) for name, path in artifacts.items()
        }
        base_ms = found_ms[BASELINE]
        fitted = self._target.calibration
        error = 0.0 if fitted is None else fitted.error_95
        return {
            name: Timing(
                ratio=value / base_ms,
                low=value / base_ms / (1 + error),
                high=value / base_ms * (1 + error),
                cpu_ms=value,
                wall_ms=value,
                contended=False,
                rounds=0,
                clock="wall",
                calibrated=fitted is not None,
            )
            for name, value in found_ms.items()
        }

    def energy(self, path: Path, inputs: Mapping[str, Array], reference: Metrics) -> Metrics:
        """``energy_mj`` of a call, from the declared picojoules; empty where the target declares none.

        Args:
            path: the artifact.
            inputs: the feed of one call.
            reference: the uncompressed model's metrics, for the ratio; empty for the reference itself.
        """
        energy = self._roofline.energy_mj(self._costs(path, inputs))
        if energy is None:
            return {}
        before = reference["energy_mj"].value if "energy_mj" in reference else energy
        return {"energy_mj": Metric(energy, "mJ", Method.MODELLED, ratio=before / energy)}

    def close(self) -> None:
        """Nothing runs that would have to end."""

    def _costs(self, path: Path, inputs: Mapping[str, Array]) -> list[KernelCost]:
        """Read once for each content of a path."""
        facts = path.stat()
        key = str(path), facts.st_mtime_ns, facts.st_size
        if key not in self._known:
            self._known[key] = read_costs(path, inputs, self._roofline.patterns)
        return self._known[key]
