"""The uncompressed model in the target's runtime: what every speed-up, ratio and drop is against."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from compression import Artifact, evaluating, export_float, input_names, list_layers, main_output, one_line
from evaluators.accuracy import accuracy
from evaluators.latency import BASELINE, Timing
from evaluators.runtime import Array, open_session, predict
from spaces import DeploymentError, Metric, Metrics, TautenError, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from compression import Workload
    from evaluators.meter import Meter

T = TypeVar("T")

PARITY: Final = 1e-3
"""Largest difference of an fp32 artifact's outputs from eager PyTorch, relative to the largest output."""

CALIBRATIONS: Final = 3
"""Measurements of the baseline; the fastest was taken on the quietest machine."""

DIGEST_EXAMPLES: Final = 256


@dataclass
class Reference:
    """The reference of a workload.

    Attributes:
        model: trained, in eval mode.
        artifact: its fp32 file.
        calibrated_ms: milliseconds of one call, to which ratios are applied.
        quiet_ms: CPU milliseconds of one call on a machine as quiet as it was then.
        metrics: of the artifact; accuracy on validation.
        feed: the inputs of one latency call.
    """

    model: nn.Module
    artifact: Artifact
    calibrated_ms: float
    quiet_ms: float
    metrics: Metrics
    feed: dict[str, Array]
    _outputs: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def predictions(self, workload: Workload, split: str) -> tuple[Array, Array]:
        """Outputs and targets of a split, computed once."""
        if split not in self._outputs:
            self._outputs[split] = predict(open_session(self.artifact.path), workload, split)
        return self._outputs[split]


def load_model(workload: Workload) -> nn.Module:
    """The workload's model in eval mode.

    Raises:
        WorkloadError: it cannot be made; names the cause in one line.
    """
    return _guarded(workload, "model", lambda: workload.model().eval())


def make_reference(
    workload: Workload, model: nn.Module, directory: Path, meter: Meter, calibrated_ms: float | None = None
) -> Reference:
    """Exports the reference, checks it against eager PyTorch, and scores it.

    Args:
        workload: of the model.
        model: trained.
        directory: where the artifact goes.
        meter: measures its latency.
        calibrated_ms: a value from before, so that a job that is taken up again keeps its scale.

    Raises:
        WorkloadError: the model cannot be exported, or its data or metric fail.
        DeploymentError: the runtime refuses the artifact or computes something else than PyTorch.
    """
    path = directory / "reference.onnx"
    export_float(model, workload, path)
    artifact = Artifact.at(path)
    inputs = _guarded(workload, "example_inputs", workload.example_inputs)
    feed = {name: value.numpy() for name, value in zip(input_names(len(inputs)), inputs, strict=True)}
    _check_parity(workload, model, artifact)
    timings = [meter.measure({BASELINE: path}, feed)[BASELINE] for _ in range(CALIBRATIONS)]
    timing = min(timings, key=lambda timing: timing.cpu_ms)
    if calibrated_ms is None:
        calibrated_ms = timing.cpu_ms if timing.contended else timing.wall_ms
    quiet_ms = min(timing.cpu_ms, calibrated_ms)  # an earlier value may be from a quieter time
    reference = Reference(model, artifact, calibrated_ms, quiet_ms, {}, feed)
    outputs, targets = _guarded(workload, "batches", lambda: reference.predictions(workload, "validation"))
    macs = sum(layer.macs for layer in list_layers(model, inputs))
    reference.metrics = {
        "accuracy": accuracy(workload, outputs, targets, "validation"),
        "accuracy_drop": Metric(0.0, "fraction", split="validation"),
        "latency_ms": Metric(calibrated_ms, "ms", speedup=1.0),
        "size_bytes": Metric(artifact.size_bytes, "byte", ratio=1.0),
        "macs": Metric(macs, "mac", ratio=1.0),
    }
    return reference


def latency_metric(timing: Timing, calibrated_ms: float) -> Metric:
    """A ratio to the baseline as milliseconds, with its interval and speed-up."""
    return Metric(
        timing.ratio * calibrated_ms,
        "ms",
        low=timing.low * calibrated_ms,
        high=timing.high * calibrated_ms,
        speedup=1 / timing.ratio,
        contended=timing.contended,
    )


def workload_digests(workload: Workload, model: nn.Module) -> dict[str, str]:
    """Digests of the trained weights, and of the first 256 examples of each evaluation split."""
    weights = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    data = hashlib.sha256()
    for split in ("calibration", "validation", "test"):
        for inputs, targets in workload.batches(split, DIGEST_EXAMPLES, limit=DIGEST_EXAMPLES):
            for tensor in (*inputs, targets):
                data.update(tensor.contiguous().numpy().tobytes())
    return {"model": f"sha256:{weights.hexdigest()}", "data": f"sha256:{data.hexdigest()}"}


def _check_parity(workload: Workload, model: nn.Module, artifact: Artifact) -> None:
    session = open_session(artifact.path)
    for inputs, _ in workload.batches("validation", 8, limit=8):
        with evaluating(model):
            eager = main_output(model(*inputs)).numpy()
        feed = {item.name: value.numpy() for item, value in zip(session.get_inputs(), inputs, strict=True)}
        difference = float(np.abs(session.run(None, feed)[0] - eager).max(initial=0.0))
        largest = float(np.abs(eager).max(initial=0.0))
        if not difference <= PARITY * max(largest, 1.0):
            detail = f"outputs differ from PyTorch by {difference:.3g} where the largest is {largest:.3g}"
            raise DeploymentError(f"workload {workload.name!r}: the fp32 artifact is not faithful: {detail}")


def _guarded(workload: Workload, what: str, call: Callable[[], T]) -> T:
    try:
        return call()
    except TautenError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise WorkloadError(f"workload {workload.name!r}: {what} raised {one_line(error)}") from error
