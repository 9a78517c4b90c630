"""The uncompressed model in the target's runtime: what every speed-up, ratio and drop is against."""

from __future__ import annotations

import hashlib
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from compression import Artifact, evaluating, export_float, input_names, list_layers, main_output, one_line
from evaluators.accuracy import accuracy
from evaluators.latency import BASELINE, Timing
from evaluators.memory import peak_memory_bytes
from evaluators.modelled.meter import ModelledMeter
from evaluators.packing import packed_size_bytes
from evaluators.runtime import Array, predict
from spaces import DeploymentError, Method, Metric, Metrics, TautenError, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import nn

    from compression import Workload
    from evaluators.backends import DeploymentBackend
    from evaluators.meter import Meter
    from evaluators.remote_meter import RemoteMeter

T = TypeVar("T")

PARITY: Final = 1e-4
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
        quiet_ms: milliseconds of one call, by the meter's clock, on a machine as quiet as it was then.
        metrics: of the artifact; accuracy on validation.
        feed: the inputs of one latency call.
        backend: executes artifacts.
    """

    model: nn.Module
    artifact: Artifact
    calibrated_ms: float
    quiet_ms: float
    metrics: Metrics
    feed: dict[str, Array]
    backend: DeploymentBackend
    _outputs: dict[str, tuple[Array, Array]] = field(default_factory=dict)

    def predictions(self, workload: Workload, split: str) -> tuple[Array, Array]:
        """Outputs and targets of a split, computed once."""
        if split not in self._outputs:
            with closing(self.backend.open(self.artifact.path)) as session:
                self._outputs[split] = predict(session, workload, split)
        return self._outputs[split]


def load_model(workload: Workload) -> nn.Module:
    """The workload's model in eval mode.

    Raises:
        WorkloadError: it cannot be made; names the cause in one line.
    """
    return _guarded(workload, "model", lambda: workload.model().eval())


def make_reference(
    workload: Workload,
    model: nn.Module,
    directory: Path,
    meter: Meter | ModelledMeter | RemoteMeter,
    calibrated_ms: float | None = None,
    *,
    backend: DeploymentBackend,
    batch: int = 1,
    layouts: bool = True,
) -> Reference:
    """Exports the reference, checks it against eager PyTorch, and scores it.

    Args:
        workload: of the model.
        model: trained.
        directory: where the artifact goes.
        meter: measures its latency, or computes it.
        calibrated_ms: a value from before, so that a job that is taken up again keeps its scale.
        backend: executes the artifact.
        batch: examples of one latency call.
        layouts: memory is this machine's, see `evaluators.memory.peak_memory_bytes`.

    Raises:
        WorkloadError: the model cannot be exported, or its data or metric fail.
        DeploymentError: the runtime refuses the artifact or computes something else than PyTorch.
    """
    path = directory / "reference.onnx"
    export_float(model, workload, path)
    artifact = Artifact.at(path)
    inputs = _guarded(workload, "example_inputs", workload.example_inputs)
    feed = {
        name: np.resize(value.numpy(), (batch, *value.shape[1:]))  # examples repeat until there are enough
        for name, value in zip(input_names(len(inputs)), inputs, strict=True)
    }
    _check_parity(workload, model, artifact, backend)
    timings = [meter.measure({BASELINE: path}, feed)[BASELINE] for _ in range(CALIBRATIONS)]
    timing = min(timings, key=lambda timing: timing.call_ms)
    if calibrated_ms is None:
        calibrated_ms = timing.call_ms if timing.contended else timing.wall_ms
    quiet_ms = min(timing.call_ms, calibrated_ms)  # an earlier value may be from a quieter time
    reference = Reference(model, artifact, calibrated_ms, quiet_ms, {}, feed, backend)
    outputs, targets = _guarded(workload, "batches", lambda: reference.predictions(workload, "validation"))
    macs = sum(layer.macs for layer in list_layers(model, inputs))
    reference.metrics = {
        "accuracy": accuracy(workload, outputs, targets, "validation", method=backend.method),
        "accuracy_drop": Metric(0.0, "fraction", backend.method, split="validation"),
        "latency_ms": Metric(calibrated_ms, "ms", speedup=1.0)
        if timing.calibrated is None
        else latency_metric(timing, calibrated_ms),
        **stored_metrics(path, feed, {}, layouts=layouts),
        "macs": Metric(macs, "mac", ratio=1.0),
    }
    if isinstance(meter, ModelledMeter):
        reference.metrics.update(meter.energy(path, feed, {}))
    return reference


def stored_metrics(path: Path, feed: dict[str, Array], base: Metrics, *, layouts: bool) -> Metrics:
    """What an artifact takes on disk, in bits that it needs, and in memory while it is called.

    Args:
        path: of the artifact.
        feed: of a call.
        base: of the reference, to which ratios refer; empty for the reference itself.
        layouts: see `evaluators.memory.peak_memory_bytes`.
    """
    sizes = {
        "size_bytes": path.stat().st_size,
        "packed_size_bytes": packed_size_bytes(path),
        "peak_memory_bytes": peak_memory_bytes(path, feed, layouts=layouts),
    }
    return {
        name: Metric(size, "byte", ratio=base[name].value / size if name in base else 1.0)
        for name, size in sizes.items()
    }


def latency_metric(timing: Timing, calibrated_ms: float) -> Metric:
    """A ratio to the baseline as milliseconds, with its interval and speed-up.

    What is computed from figures that nobody fitted has no interval: nothing is known of its error.
    """
    is_measured, is_exact = timing.calibrated is None, timing.calibrated is False
    return Metric(
        timing.ratio * calibrated_ms,
        "ms",
        Method.MEASURED if is_measured else Method.MODELLED,
        low=None if is_exact else timing.low * calibrated_ms,
        high=None if is_exact else timing.high * calibrated_ms,
        speedup=1 / timing.ratio,
        contended=timing.contended if is_measured else None,
        calibrated=timing.calibrated,
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


def _check_parity(
    workload: Workload, model: nn.Module, artifact: Artifact, backend: DeploymentBackend
) -> None:
    for inputs, _ in workload.batches("validation", 8, limit=8):
        with closing(backend.open(artifact.path)) as session:
            feed = {item.name: value.numpy() for item, value in zip(session.inputs, inputs, strict=True)}
            outputs = session.run(feed)
        with evaluating(model):
            eager = main_output(_guarded(workload, "model", partial(model, *inputs))).numpy()
        if not np.isfinite(eager).all():
            raise WorkloadError(f"workload {workload.name!r}: the model's outputs hold NaN or infinity")
        difference = float(np.abs(outputs - eager).max(initial=0.0))
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
