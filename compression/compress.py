"""The way from a policy to an artifact: student, pruning, recovery, deployment. Each stage stands alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from compression.artifact import Artifact, Deployment
from compression.batch_norm import reestimate
from compression.bias_correction import correct_bias
from compression.distillation import distilling, penalized
from compression.equalization import equalize
from compression.export import export_float
from compression.inventory import list_layers
from compression.pruning import Pruner, cubic_shares
from compression.qat import check_walkable, train_quantized
from compression.quantization import check_formats, has_static_layers, quantize
from compression.remaining import remaining
from compression.students import build_student
from compression.training import Plan, fit
from spaces import InvalidPolicy, Policy, Recovery, layer_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from compression.training import Report
    from compression.workload import Workload
    from spaces.recovery import Sparsity

FINAL_SHARE: Final = 0.8
"""Of a recovery in steps: training after the last of them."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """A policy's student, pruned.

    Attributes:
        model: in eval mode, in floating point.
        masks: by parameter name, true where a weight stays; of weights that are pruned one by one.
        removed_blocks: module paths of whole blocks that are gone.
    """

    model: nn.Module
    masks: Mapping[str, Tensor] = field(default_factory=lambda: MappingProxyType({}))
    removed_blocks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Compressed:
    """A compressed model and its file.

    Attributes:
        shaped: the trained model, before quantization.
        artifact: the deployable file.
    """

    shaped: Shaped
    artifact: Artifact

    @property
    def model(self) -> nn.Module:
        """The trained model, in eval mode, before quantization."""
        return self.shaped.model


def compress(
    workload: Workload,
    reference: nn.Module,
    policy: Policy,
    path: Path,
    *,
    deployment: Deployment,
    seed: int = 0,
    shaped: Shaped | None = None,
    report: Report = lambda share: None,
    checkpoints: Path | None = None,
) -> Compressed:
    """Applies a whole policy; the same arguments give the same file on the same versions and CPU features.

    Args:
        workload: the data to recover and calibrate with.
        reference: the workload's trained model; not changed.
        policy: what to do.
        path: the artifact to write.
        deployment: what of the target shapes the artifact.
        seed: of everything random.
        shaped: what `shape` made with the same arguments, so that it is not made again; its model may be
            trained in place.
        report: told the share of the training that is done.
        checkpoints: a directory from which a training that was killed continues when it is started again with
            the same arguments.

    Raises:
        InvalidPolicy: the policy names a layer that the student does not have, or asks for what it cannot
            take.
        CompressionError: a stage cannot do what it is asked.
        WorkloadError: the workload's own code fails, or its model cannot be exported.
    """
    task = _Task(workload, reference, policy, deployment, seed)
    return task.finish(shaped or task.shape(), path, report, checkpoints)


def shape(
    workload: Workload, reference: nn.Module, policy: Policy, *, deployment: Deployment, seed: int
) -> Shaped:
    """The policy's student, pruned in one shot: it has its final shapes, and is not trained yet."""
    return _Task(workload, reference, policy, deployment, seed).shape()


def deploy(
    model: nn.Module, workload: Workload, policy: Policy, path: Path, *, deployment: Deployment
) -> Artifact:
    """Writes a model's artifact, with the policy's layers quantized by calibration alone.

    What the policy says of layers inside blocks that the model lost is left out.
    """
    float_path = _float_path(path)
    try:
        return _deploy(model, workload, policy, float_path, path, deployment)
    finally:
        float_path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Task:
    """One policy and all that it is applied to and with."""

    workload: Workload
    reference: nn.Module
    policy: Policy
    deployment: Deployment
    seed: int

    def shape(self) -> Shaped:
        model, policy = self._student(), self.policy
        pruner = self._pruner(model)
        if any(layer.is_quantized for layer in policy.layers.values()):
            layers = list_layers(model, self.workload.example_inputs())
            ops = {info.name: info.op for info in layers}
            check_formats(policy, ops)
            check_walkable(policy, ops)
        pruner.advance()
        return Shaped(model, dict(pruner.masks), pruner.removed_blocks)

    def finish(self, shaped: Shaped, path: Path, report: Report, checkpoints: Path | None) -> Compressed:
        phases = _Phases(remaining(self.policy, shaped.model), report, checkpoints)
        trained = self._train(shaped, phases)
        float_path = _float_path(path)
        try:
            artifact = _deploy(trained.model, self.workload, self.policy, float_path, path, self.deployment)
            if phases.quantized_epochs > 0:
                artifact = self._train_quantized(trained.model, float_path, path, phases)
        finally:
            float_path.unlink(missing_ok=True)
        return Compressed(trained, artifact)

    def _train(self, shaped: Shaped, phases: _Phases) -> Shaped:
        recovery = self.policy.recovery
        if recovery is None:
            return shaped
        if recovery.sparsity is not None or recovery.prune_steps > 1:
            shaped = self._prune_in_steps(recovery, phases)
        else:
            self._fit(shaped.model, self._plan(recovery, phases.float_epochs), phases, shaped.masks)
        if recovery.bn_reestimation:
            reestimate(shaped.model, self.workload, seed=self.seed)
        return shaped

    def _prune_in_steps(self, recovery: Recovery, phases: _Phases) -> Shaped:
        """Sparsity training, then pruning and recovery in turns, from the unpruned student."""
        model = self._student()
        if recovery.sparsity is not None:
            plan = self._plan(recovery, recovery.sparsity.epochs)
            self._fit(model, plan, phases, sparsity=recovery.sparsity)
        pruner = self._pruner(model)
        pieces = self._plan(recovery, phases.float_epochs).pieces(_shares_of_training(recovery.prune_steps))
        for share, plan in zip(cubic_shares(recovery.prune_steps), pieces, strict=True):
            pruner.advance(share)
            self._fit(model, plan, phases, pruner.masks)
        return Shaped(model, dict(pruner.masks), pruner.removed_blocks)

    def _fit(
        self,
        model: nn.Module,
        plan: Plan,
        phases: _Phases,
        masks: Mapping[str, Tensor] = MappingProxyType({}),
        sparsity: Sparsity | None = None,
    ) -> None:
        """One phase of the training, on labels and by the reference as the recovery says."""
        assert self.policy.recovery is not None
        progress, checkpoint = phases.start(plan.epochs)
        if plan.epochs == 0:
            return
        objective = distilling(self.workload, self.policy.recovery.distill, self.reference, model)
        if sparsity is not None:
            objective = penalized(objective, model, sparsity)
        fit(model, self.workload, objective, plan, masks=masks, report=progress, checkpoint=checkpoint)

    def _train_quantized(self, student: nn.Module, float_path: Path, path: Path, phases: _Phases) -> Artifact:
        assert self.policy.recovery is not None
        progress, checkpoint = phases.start(phases.quantized_epochs)
        if not float_path.exists():  # every quantized layer went with its block in the last step
            progress(1.0)
            return Artifact.at(path)
        train_quantized(
            float_path,
            path,
            path,
            self.workload,
            self.policy.recovery,
            self.reference,
            student=student,
            epochs=phases.quantized_epochs,
            seed=self.seed,
            report=progress,
            checkpoint=checkpoint,
        )
        return Artifact.at(path)

    def _plan(self, recovery: Recovery, epochs: float) -> Plan:
        return Plan.of(recovery, seed=self.seed, epochs=epochs)

    def _student(self) -> nn.Module:
        multiple = self.deployment.channel_multiple
        return build_student(self.workload, self.reference, self.policy.student, multiple=multiple)

    def _pruner(self, model: nn.Module) -> Pruner:
        known = {name for name, _ in model.named_modules() if name}
        for name in self.policy.layers:
            if name not in known:
                raise InvalidPolicy.at(
                    layer_pointer(name), f"the model has no layer {name!r}; it has {', '.join(sorted(known))}"
                )
        multiple = self.deployment.channel_multiple
        return Pruner(model, self.workload, self.policy, multiple=multiple, seed=self.seed)


def _deploy(
    model: nn.Module,
    workload: Workload,
    policy: Policy,
    float_path: Path,
    path: Path,
    deployment: Deployment,
) -> Artifact:
    policy = remaining(policy, model)
    if not any(layer.is_quantized for layer in policy.layers.values()):
        export_float(model, workload, path)
        return Artifact.at(path)
    recovery = policy.recovery
    export_float(model, workload, float_path)
    if recovery is not None and recovery.equalization:
        equalize(float_path)
    quantize(float_path, path, workload, policy, reduce_range=deployment.reduce_range)
    if recovery is not None and recovery.bias_correction:
        correct_bias(float_path, path, workload)
    return Artifact.at(path)


def _float_path(path: Path) -> Path:
    """Where an artifact lies in floating point while it is made."""
    return path.with_name(f".float-{path.name}")


def _shares_of_training(steps: int) -> tuple[float, ...]:
    """The share of the training that follows each step of pruning.

    The final shape gets most of it: what is trained before is pruned again (docs/policies.md).
    """
    if steps == 1:
        return (1.0,)
    return (*[(1.0 - FINAL_SHARE) / (steps - 1)] * (steps - 1), FINAL_SHARE)


class _Phases:
    """How a recovery's epochs are spent, and their progress as one number.

    Quantization is simulated where there is a statically quantized layer to simulate; else all epochs train
    in float.
    """

    def __init__(self, policy: Policy, report: Report, checkpoints: Path | None) -> None:
        recovery = policy.recovery or Recovery(0.0)
        share = recovery.qat_share if recovery.qat and has_static_layers(policy) else 0.0
        self.quantized_epochs = recovery.epochs * share
        self.float_epochs = recovery.epochs - self.quantized_epochs
        before = 0.0 if recovery.sparsity is None else recovery.sparsity.epochs
        self._total, self._done, self._started = before + recovery.epochs, 0.0, 0
        self._report, self._checkpoints = report, checkpoints

    def start(self, epochs: float) -> tuple[Report, Path | None]:
        """The next phase's progress and checkpoint."""
        done, self._done = self._done, self._done + epochs
        self._started += 1

        def report(share: float) -> None:
            if self._total > 0:
                self._report(min((done + share * epochs) / self._total, 1.0))

        if self._checkpoints is None:
            return report, None
        self._checkpoints.mkdir(parents=True, exist_ok=True)
        return report, self._checkpoints / f"phase-{self._started}.safetensors"
