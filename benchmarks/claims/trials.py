"""Policies tried on one workload: compressed, and scored on the file that would ship."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from compression import Artifact, Deployment, compress, deploy, export_float, input_names, list_layers, shape
from evaluators.accuracy import accuracy_drop, score
from evaluators.latency import BASELINE
from evaluators.meter import Meter
from evaluators.reference import load_model
from evaluators.runtime import open_session, predict
from evaluators.targets import find_target, reduces_range

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from compression import Workload
    from evaluators.latency import Timing
    from spaces import LayerPolicy, Metric, Policy


@dataclass(frozen=True, slots=True)
class Score:
    """Of one artifact.

    Attributes:
        artifact: the file.
        accuracy: a fraction.
        drop: from the reference's, on the same examples, in points (hundredths).
        low: end of the drop's interval of 95 %.
        high: the other end.
    """

    artifact: Artifact
    accuracy: float
    drop: float
    low: float
    high: float

    @property
    def interval(self) -> str:
        """The drop's, in points."""
        return f"{self.low:+.2f} … {self.high:+.2f}"


class Trials:
    """A workload's reference, and what policies make of it, on the target ``local-cpu``.

    Args:
        workload: gives model and data.
        directory: for artifacts.
        split: that accuracy is taken on.
    """

    def __init__(self, workload: Workload, directory: Path, split: str = "test") -> None:
        self.workload, self._directory, self._split = workload, directory, split
        target = find_target("local-cpu")
        self._deployment = Deployment(
            target.capabilities.channel_multiple, reduces_range(target), torch.get_num_threads()
        )
        self.model = load_model(workload)
        path = self._next_path()
        export_float(self.model, workload, path)
        self._outputs, self._targets = predict(open_session(path), workload, split)
        self.artifact = Artifact.at(path)
        self.accuracy = score(workload, self._outputs, self._targets)

    def layers(self) -> tuple[str, ...]:
        """Paths of the reference's weight layers."""
        return tuple(layer.name for layer in list_layers(self.model, self.workload.example_inputs()))

    def every(self, layer: LayerPolicy) -> Mapping[str, LayerPolicy]:
        """The same for each of `layers`."""
        return dict.fromkeys(self.layers(), layer)

    def run(self, policy: Policy, seed: int = 0) -> Score:
        """Compresses by a policy, training included, and scores the file."""
        path = self._next_path()
        compress(self.workload, self.model, policy, path, deployment=self._deployment, seed=seed)
        return self._score(path)

    def untrained(self, policy: Policy) -> Artifact:
        """The file that a policy leads to, before any training: its size and latency are final."""
        shaped = shape(self.workload, self.model, policy, deployment=self._deployment, seed=0)
        return deploy(shaped.model, self.workload, policy, self._next_path(), deployment=self._deployment)

    def timings(self, artifacts: Mapping[str, Artifact]) -> Mapping[str, Timing]:
        """Latency by name, as ratios to the reference's file, all in one run."""
        inputs = self.workload.example_inputs()
        feed = {name: value.numpy() for name, value in zip(input_names(len(inputs)), inputs, strict=True)}
        paths = {name: artifact.path for name, artifact in artifacts.items()}
        meter = Meter()
        try:
            return meter.measure({**paths, BASELINE: self.artifact.path}, feed)
        finally:
            meter.close()

    def _score(self, path: Path) -> Score:
        outputs, targets = predict(open_session(path), self.workload, self._split)
        drop: Metric = accuracy_drop(self.workload, self._outputs, outputs, targets, self._split)
        low, high = (drop.value if end is None else end for end in (drop.low, drop.high))
        value = score(self.workload, outputs, targets)
        return Score(Artifact.at(path), value, 100 * drop.value, 100 * low, 100 * high)

    def _next_path(self) -> Path:
        count = len(list(self._directory.glob(f"{self.workload.name}-*.onnx")))
        return self._directory / f"{self.workload.name}-{count}.onnx"


def weights_of(artifact: Artifact) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """All float weights of a file, those of layers alone and not biases, in one row."""
    initializers = onnx.load(artifact.path).graph.initializer
    arrays = [numpy_helper.to_array(item) for item in initializers if len(item.dims) > 1]
    return np.concatenate([array.ravel() for array in arrays if array.dtype == np.float32])


def removed_share(before: Artifact, after: Artifact) -> float:
    """Share of the weights that a smaller file no longer has."""
    return 1 - weights_of(after).size / weights_of(before).size


def zero_share(artifact: Artifact) -> float:
    """Share of a file's weights that are zero."""
    return float((weights_of(artifact) == 0).mean())


def speedup(timing: Timing) -> tuple[float, str]:
    """How many times as fast as the reference, and its interval."""
    contended = " (contended)" if timing.contended else ""
    return 1 / timing.ratio, f"{1 / timing.high:.2f} … {1 / timing.low:.2f}{contended}"
