"""Scores policies for one workload on one target: compress, deploy, read back, gate, recover, measure."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, Self

import torch

from compression import (
    Artifact,
    Deployment,
    build_student,
    compress,
    deploy,
    list_layers,
    one_line,
    shape,
    take_inventory,
)
from evaluators.accuracy import accuracy, accuracy_drop
from evaluators.backends import find_backend
from evaluators.executed import check_executed, simulates
from evaluators.gate import Gate
from evaluators.latency import BASELINE, Timing
from evaluators.modelled.meter import ModelledMeter, make_meter
from evaluators.outcome import ArtifactRef, Outcome, Status
from evaluators.reference import (
    Reference,
    latency_metric,
    load_model,
    make_reference,
    stored_metrics,
    workload_digests,
)
from evaluators.remote_meter import RemoteMeter
from evaluators.runtime import predict
from evaluators.targets import Target, check_host, fingerprint, reduces_range
from spaces import (
    CompressionError,
    DeploymentError,
    InvalidPolicy,
    LayerInfo,
    LayerInventory,
    Method,
    Metric,
    Metrics,
    Policy,
    Student,
    TautenError,
    WorkloadError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from compression import Workload
    from evaluators.backends import Array

Report = Callable[[float], None]

FINAL_ATTEMPTS: Final = 3
"""A measurement that a recipe will claim, or check, is repeated while the machine is contended."""


class Evaluator:
    """A workload on a target, with its reference ready.

    Args:
        workload: the user's.
        target: measured on this host, or modelled.
        directory: for artifacts; made if missing. Each evaluation leaves its artifact there, named by policy.
        seed: of everything random.
        calibrated_ms: the reference's latency from before, or ``None`` to measure it.
        offers_simulated: the search offers formats that this host only simulates, so that all its accuracies
            count as simulated: a front never mixes methods.
        meter: measures on another machine, where this one is not the target; modelled targets take none.

    Raises:
        MeasurementError: the host lacks what a measured target requires.
        WorkloadError: the workload's code fails, or its model cannot be exported.
        DeploymentError: the runtime refuses the reference.
    """

    def __init__(
        self,
        workload: Workload,
        target: Target,
        directory: Path,
        *,
        seed: int = 0,
        calibrated_ms: float | None = None,
        offers_simulated: bool = False,
        meter: RemoteMeter | None = None,
    ) -> None:
        if meter is None:
            check_host(target)
        self.workload, self.target, self.seed = workload, target, seed
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.deployment = Deployment(
            target.capabilities.channel_multiple, reduces_range(target), torch.get_num_threads()
        )
        self._layouts = not target.is_modelled
        self._backend = find_backend(target.backend, target.backend_options)
        self._offers_simulated = offers_simulated
        self._meter = make_meter(target) if meter is None or target.is_modelled else meter
        try:
            model = load_model(workload)
            self.reference: Reference = make_reference(
                workload,
                model,
                directory,
                self._meter,
                calibrated_ms,
                backend=self._backend,
                batch=target.batch,
                layouts=self._layouts,
            )
        except BaseException:
            self._meter.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the measuring process."""
        self._meter.close()

    def inventory(self, student: Student | None) -> LayerInventory:
        """The layers and channel groups of a student's model.

        Raises:
            CompressionError: the student cannot be built from this reference.
        """
        multiple = self.deployment.channel_multiple
        model = build_student(self.workload, self.reference.model, student, multiple=multiple)
        return take_inventory(model, self.workload.example_inputs())

    def evaluate(
        self, policy: Policy, *, gate: Gate | None = None, report: Report = lambda share: None
    ) -> tuple[Outcome, Path | None]:
        """Applies a policy and scores the artifact.

        Args:
            policy: what to try.
            gate: refuses candidates before they are trained.
            report: told the share of the training that is done.

        Returns:
            What was found, and where the artifact lies if there is one. It never raises for what a policy
            or a workload does wrong: that is a status with a reason.
        """
        started = time.monotonic()
        found: Metrics = {}
        executed: dict[str, str] = {}
        path = self.directory / f"{policy.digest.removeprefix('sha256:')[:16]}.onnx"
        status: Status = "completed"
        reason = None
        try:
            artifact, reason = self._translated(policy, path, gate or Gate(), report, found, executed)
            status = "completed" if artifact is not None else "gated"
        except (InvalidPolicy, CompressionError, DeploymentError) as error:
            artifact, status, reason = None, "infeasible", str(error)
        except TautenError as error:
            artifact, status, reason = None, "failed", str(error)
        if artifact is None:
            for leftover in (path, _aside(path)):
                leftover.unlink(missing_ok=True)
        reference = None if artifact is None else ArtifactRef(artifact.digest, artifact.size_bytes)
        outcome = Outcome(status, reason, found, executed, reference, time.monotonic() - started)
        return outcome, None if artifact is None else artifact.path

    def repeat(self, policy: Policy, seed: int, *, report: Report = lambda share: None) -> Metrics:
        """Compresses once more with another seed; the artifact is scored and thrown away.

        Args:
            policy: that was evaluated before.
            seed: of this training.
            report: told the share of the training that is done.

        Returns:
            Accuracy and its drop on the validation split.

        Raises:
            TautenError: as an evaluation would fail.
        """
        path = self.directory / f"again-{policy.digest.removeprefix('sha256:')[:16]}-{seed}.onnx"
        made_for: dict[str, Any] = {"deployment": self.deployment, "seed": seed, "report": report}
        try:
            compress(self.workload, self.reference.model, policy, path, **made_for)
            return self.accuracies(path)
        finally:
            path.unlink(missing_ok=True)

    def finish(self, artifacts: Mapping[str, Path]) -> dict[str, dict[str, Metric]]:
        """Measures finished candidates again, jointly, and reads the test split once for each.

        Args:
            artifacts: files by the name under which results come back.

        Returns:
            ``latency_ms``, ``accuracy_test`` and ``accuracy_drop_test`` by name; the reference's own under
            ``baseline``.
        """
        timings = self._measure(artifacts, FINAL_ATTEMPTS)
        before, targets = self._predict(self.reference.artifact.path, "test")
        results: dict[str, dict[str, Metric]] = {}
        for name, path in {**artifacts, BASELINE: self.reference.artifact.path}.items():
            outputs = before if name == BASELINE else self._predict(path, "test")[0]
            method = self.accuracy_method(path)
            results[name] = {
                "latency_ms": latency_metric(timings[name], self.reference.calibrated_ms),
                "accuracy_test": accuracy(self.workload, outputs, targets, "test", method=method),
                "accuracy_drop_test": accuracy_drop(
                    self.workload, before, outputs, targets, "test", method=method
                ),
            }
        return results

    def provenance(self) -> dict[str, Any]:
        """What a recipe says of where its numbers come from."""
        elsewhere = self._meter.host if isinstance(self._meter, RemoteMeter) else None
        return {
            "workload": {"name": self.workload.name, **workload_digests(self.workload, self.reference.model)},
            "target": {"name": self.target.name, "fingerprint": elsewhere or fingerprint(self.target)},
            "deployment": self.deployment.to_dict(),
            "reference": {"artifact": self.reference.artifact.digest},
        }

    def executed(self, path: Path) -> dict[str, str]:
        """What each layer of an artifact runs as on the target.

        Raises:
            DeploymentError: the target's runtime refuses the artifact.
        """
        return self._backend.executed_as(path)

    def check(self, executed: Mapping[str, str], policy: Policy, layers: Iterable[LayerInfo]) -> None:
        """Refuses what does not run as its policy says, see `check_executed`."""
        may_simulate = self.target.is_modelled
        check_executed(executed, policy, layers, self.target.capabilities, may_simulate=may_simulate)

    def stored(self, path: Path) -> Metrics:
        """Sizes, memory and, where the target declares picojoules, energy of an artifact."""
        base, feed = self.reference.metrics, self.reference.feed
        found = stored_metrics(path, feed, base, layouts=self._layouts)
        if isinstance(self._meter, ModelledMeter):
            found |= self._meter.energy(path, feed, base)
        return found

    def accuracies(self, path: Path) -> Metrics:
        """Accuracy and its drop on the validation split."""
        found: Metrics = {}
        self._accuracy(path, found)
        return found

    def accuracy_method(self, path: Path) -> Method:
        """Measured where this host computes as the target; simulated where floats stand in for its bits."""
        is_simulated = self._offers_simulated or (self.target.is_modelled and simulates(path))
        return Method.SIMULATED if is_simulated else self._backend.method

    def latencies(self, artifacts: Mapping[str, Path]) -> Metrics:
        """Latency of artifacts by name, jointly, and again while the machine is contended."""
        timings = self._measure(artifacts, FINAL_ATTEMPTS)
        return {name: latency_metric(timings[name], self.reference.calibrated_ms) for name in artifacts}

    def score(self, path: Path, model: nn.Module | None = None) -> Metrics:
        """All metrics of an artifact that lies on disk; MACs only where its model is given."""
        found: Metrics = {}
        self._cheap(path, model, found)
        self._latency(path, found, FINAL_ATTEMPTS)
        self._accuracy(path, found)
        return found

    def _translated(self, *arguments: Any) -> tuple[Artifact | None, str | None]:
        try:
            return self._run(*arguments)
        except TautenError:
            raise
        except Exception as error:  # torch, the runtime and the workload's loss raise what they like
            raise WorkloadError(one_line(error)) from error

    def _run(
        self,
        policy: Policy,
        path: Path,
        gate: Gate,
        report: Report,
        found: Metrics,
        executed: dict[str, str],
    ) -> tuple[Artifact | None, str | None]:
        reference, workload, aside = self.reference.model, self.workload, _aside(path)
        made_for: dict[str, Any] = {"deployment": self.deployment, "seed": self.seed}
        shaped = shape(workload, reference, policy, **made_for)
        artifact = deploy(shaped.model, workload, policy, aside, deployment=self.deployment)
        artifact = self._admit(artifact, shaped.model, policy, path, found, executed)
        if policy.recovery is not None and policy.recovery.changes_weights:
            if gate.unbeatable:
                self._latency(path, found)
                refusal = gate.refuses(found)
                if refusal is not None:
                    return None, refusal
            made = compress(workload, reference, policy, aside, shaped=shaped, report=report, **made_for)
            artifact = self._admit(made.artifact, made.model, policy, path, found, executed)
        self._latency(path, found)
        self._accuracy(path, found)
        return artifact, None

    def _admit(
        self,
        artifact: Artifact,
        model: nn.Module,
        policy: Policy,
        path: Path,
        found: Metrics,
        executed: dict[str, str],
    ) -> Artifact:
        """Takes an artifact in if it runs as its policy says, with its cheap metrics."""
        shutil.move(artifact.path, path)
        layers = self._cheap(path, model, found)
        executed.update(self.executed(path))
        self.check(executed, policy, layers)
        return Artifact(path, artifact.digest, artifact.size_bytes)

    def _cheap(self, path: Path, model: nn.Module | None, found: Metrics) -> tuple[Any, ...]:
        base = self.reference.metrics
        found.update(self.stored(path))
        if model is None:
            return ()
        layers = list_layers(model, self.workload.example_inputs())
        macs = sum(layer.macs for layer in layers)
        found["macs"] = Metric(macs, "mac", ratio=base["macs"].value / macs if macs else None)
        return layers

    def _latency(self, path: Path, found: Metrics, attempts: int = 1) -> None:
        timing = self._measure({"candidate": path}, attempts)["candidate"]
        found["latency_ms"] = latency_metric(timing, self.reference.calibrated_ms)

    def _measure(self, artifacts: Mapping[str, Path], attempts: int = 1) -> dict[str, Timing]:
        together = {**artifacts, BASELINE: self.reference.artifact.path}
        for attempt in range(attempts):
            timings = self._meter.measure(
                together, self.reference.feed, seed=attempt, quiet_ms=self.reference.quiet_ms
            )
            if not any(timing.contended for timing in timings.values()):
                break
        return timings

    def _predict(self, path: Path, split: str) -> tuple[Array, Array]:
        with closing(self._backend.open(path)) as session:
            return predict(session, self.workload, split)

    def _accuracy(self, path: Path, found: Metrics) -> None:
        before, targets = self.reference.predictions(self.workload, "validation")
        outputs, _ = self._predict(path, "validation")
        method = self.accuracy_method(path)
        found["accuracy"] = accuracy(self.workload, outputs, targets, "validation", method=method)
        found["accuracy_drop"] = accuracy_drop(
            self.workload, before, outputs, targets, "validation", method=method
        )


def _aside(path: Path) -> Path:
    """Where an artifact is written until it is whole."""
    return path.with_name(f".{path.name}")
