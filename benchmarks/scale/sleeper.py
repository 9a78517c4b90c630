"""An evaluator whose trials take a given time and cost nothing else, so that what runs them is measured."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from evaluators import ArtifactRef, Outcome
from search.runners.bench import Opened
from spaces import FLOAT_BITS, LayerInfo, LayerInventory, Metric, PruneGroup, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from search.trial import Trial
    from spaces import Metrics, Policy

LAYERS: Final = 10
STEP_S: Final = 0.05
BYTES: Final = 1_000_000
EXAMPLES: Final = 2_000


class Network:
    """Layers whose sensitivities and costs differ by orders of magnitude; two bit-widths, four ratios each.

    Neighbours interact, and accuracies have the grain of a finite split.

    Args:
        seed: of the network.
    """

    def __init__(self, seed: int) -> None:
        draw = np.random.default_rng([30, seed])
        self._seed = seed
        self._weights, self._macs = draw.lognormal(0.0, 1.0, (2, LAYERS))
        self._bits = 0.03 * draw.lognormal(0.0, 1.2, LAYERS)
        self._ratio = 0.2 * draw.lognormal(0.0, 1.0, LAYERS)
        self._pairs = draw.lognormal(-0.5, 1.0, LAYERS - 1) * draw.integers(2, size=LAYERS - 1)

    def score(self, is_int8: NDArray[np.bool_], ratio: NDArray[np.float64]) -> tuple[float, float, float]:
        """Accuracy, size and latency as shares of the reference's; the same choices always score the same."""
        losses = self._bits * is_int8 + self._ratio * ratio**1.7
        total = losses.sum() + (self._pairs * np.sqrt(losses[:-1] * losses[1:])).sum()
        noise = np.random.default_rng([31, self._seed, *is_int8.astype(int), *(ratio * 4).astype(int)])
        accuracy = noise.binomial(EXAMPLES, 0.1 + 0.9 * np.exp(-total * (1 + total))) / EXAMPLES
        size = (self._weights * (1 - ratio) * np.where(is_int8, 0.25, 1.0)).sum() / self._weights.sum()
        latency = (self._macs * (1 - ratio) * np.where(is_int8, 0.4, 1.0)).sum() / self._macs.sum()
        return float(accuracy), float(size), float(latency)


@dataclass
class Sleeper:
    """Scores policies for a synthetic network; the same policy always has the same metrics.

    Attributes:
        directory: for artifacts.
        idle: called while a trial waits.
        seconds: of one trial.
        seed: of the network.
    """

    directory: Path
    idle: Callable[[], None]
    seconds: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        self._network = Network(self.seed)
        self._calibrated_ms: float | None = None

    @property
    def is_open(self) -> bool:
        """The network was made ready."""
        return self._calibrated_ms is not None

    def open(self, calibrated_ms: float | None) -> Opened:
        """Layers and metrics of the uncompressed network."""
        self._calibrated_ms = calibrated_ms or 1.0
        layers = tuple(
            LayerInfo(name(at), "conv", (64, 64, 3, 3), 1000 * (at + 1), 100) for at in range(LAYERS)
        )
        groups = tuple(PruneGroup(layer.name, (layer.name,), 64) for layer in layers)
        metrics = metrics_of((1.0, 1.0, 1.0))
        artifact = self._write("reference")
        provenance = {"workload": {"name": "sleeper"}, "deployment": {}}
        return Opened(
            {None: LayerInventory(layers, groups)}, [], metrics, self._calibrated_ms, artifact, provenance
        )

    def evaluate(
        self, trial: Trial, unbeatable: Sequence[Mapping[str, float]]
    ) -> tuple[Outcome, Path | None]:
        """Waits, then looks the policy up."""
        until = time.monotonic() + self.seconds
        while (left := until - time.monotonic()) > 0:
            self.idle()
            time.sleep(min(STEP_S, left))
        path = self._write(trial.policy.digest.removeprefix("sha256:")[:16])
        artifact = ArtifactRef(digest_bytes(path.read_bytes()), path.stat().st_size)
        metrics = metrics_of(self._network.score(*choices_of(trial.policy)))
        return Outcome("completed", None, metrics, {}, artifact, self.seconds), path

    def profile(self, offers: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
        """There is none: jobs of this benchmark ask for no profile."""
        raise NotImplementedError

    def finish(self, artifacts: Mapping[int, Path]) -> dict[int, Metrics]:
        """Test accuracy and latency of finished trials, from the files that came back."""
        found = {number: float(path.stat().st_size) / BYTES for number, path in artifacts.items()}
        fixed = {"accuracy_test": Metric(0.5, "fraction"), "accuracy_drop_test": Metric(0.5, "fraction")}
        return {
            number: {"latency_ms": Metric(1.0 + value, "ms"), **fixed}
            for number, value in {**found, -1: 1.0}.items()
        }

    def repeat(self, trial: Trial, seed: int) -> Metrics:
        """The same score: nothing here is trained."""
        found = metrics_of(self._network.score(*choices_of(trial.policy)))
        return {name: found[name] for name in ("accuracy", "accuracy_drop")}

    def retarget(
        self, candidates: Mapping[int, Mapping[str, Any]], provenance: Mapping[str, Any]
    ) -> dict[int, Outcome]:
        """There is none: no job of this benchmark is scored elsewhere."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing runs that would have to end."""

    def _write(self, stem: str) -> Path:
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{stem}.onnx"
        path.write_bytes(stem.encode())
        return path


def name(layer: int) -> str:
    """Of a layer; sorts as layers stand."""
    return f"layer{layer:02}"


def choices_of(policy: Policy) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Of each layer, whether it is quantized and the share that is pruned."""
    is_int8, ratio = np.zeros(LAYERS, dtype=bool), np.zeros(LAYERS)
    for at in range(LAYERS):
        layer = policy.layers.get(name(at))
        if layer is not None:
            is_int8[at] = layer.weight is not None and layer.weight.bits != FLOAT_BITS
            ratio[at] = 0.0 if layer.prune is None else layer.prune.ratio
    return is_int8, ratio


def metrics_of(values: tuple[float, ...]) -> Metrics:
    """Accuracy, size and latency as shares of the reference's, as metrics."""
    accuracy, size, latency = values
    return {
        "accuracy": Metric(accuracy, "fraction", split="validation"),
        "accuracy_drop": Metric(1.0 - accuracy, "fraction", split="validation"),
        "size_bytes": Metric(round(size * BYTES), "byte"),
        "latency_ms": Metric(latency, "ms"),
    }
