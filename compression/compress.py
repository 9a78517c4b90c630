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
from compression.qat import train_quantized
from compression.quantization import check_formats, quantize
from compression.students import build_student
from compression.training import Plan, fit
from spaces import InvalidPolicy, Policy, Recovery, layer_pointer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from compression.training import Report
    from compression.workload import Workload

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
        report: told the share of the training that is done.
        checkpoints: a directory from which a training that was killed continues when it is started again with
            the same arguments.

    Raises:
        InvalidPolicy: the policy names a layer that the student does not have, or asks for what it cannot
            take.
        CompressionError: a stage cannot do what it is asked.
        WorkloadError: the workload's own code fails, or its model cannot be exported.
    """
    shaped = shape(workload, reference, policy, deployment=deployment, seed=seed)
    return finish(
        shaped,
        workload,
        reference,
        policy,
        path,
        deployment=deployment,
        seed=seed,
        report=report,
        checkpoints=checkpoints,
    )


def finish(
    shaped: Shaped,
    workload: Workload,
    reference: nn.Module,
    policy: Policy,
    path: Path,
    *,
    deployment: Deployment,
    seed: int = 0,
    report: Report = lambda share: None,
    checkpoints: Path | None = None,
) -> Compressed:
    """What remains of `compress` once a model is shaped: training, deployment, training through quantization.

    Args:
        shaped: of `shape`, with the same policy, deployment and seed; its model may be trained in place.
        workload: as for `compress`, like all that follow.
        reference: the teacher.
        policy: what to do.
        path: the artifact to write.
        deployment: what of the target shapes the artifact.
        seed: of everything random.
        report: told the share of the training that is done.
        checkpoints: a directory to continue from.
    """
    phases = _Phases(policy, report, checkpoints)
    trained = _train(shaped, workload, reference, policy, phases, deployment=deployment, seed=seed)
    float_path = path.with_name(f".float-{path.name}")
    try:
        artifact = _deploy(trained.model, workload, policy, float_path, path, deployment)
        if phases.quantized_epochs > 0:
            assert policy.recovery is not None
            progress, checkpoint = phases.start(phases.quantized_epochs)
            train_quantized(
                float_path,
                path,
                path,
                workload,
                policy.recovery,
                reference,
                epochs=phases.quantized_epochs,
                seed=seed,
                report=progress,
                checkpoint=checkpoint,
            )
            artifact = Artifact.at(path)
    finally:
        float_path.unlink(missing_ok=True)
    return Compressed(trained, artifact)


def shape(
    workload: Workload, reference: nn.Module, policy: Policy, *, deployment: Deployment, seed: int
) -> Shaped:
    """The policy's student, pruned in one shot: it has its final shapes, and is not trained yet."""
    multiple = deployment.channel_multiple
    model = build_student(workload, reference, policy.student, multiple=multiple)
    pruner = _pruner(model, workload, policy, deployment=deployment, seed=seed)
    if any(layer.is_quantized for layer in policy.layers.values()):
        check_formats(policy, {info.name: info.op for info in list_layers(model, workload.example_inputs())})
    pruner.advance()
    return Shaped(model, dict(pruner.masks), pruner.removed_blocks)


def deploy(
    model: nn.Module, workload: Workload, policy: Policy, path: Path, *, deployment: Deployment
) -> Artifact:
    """Writes a model's artifact, with the policy's layers quantized by calibration alone."""
    float_path = path.with_name(f".float-{path.name}")
    try:
        return _deploy(model, workload, policy, float_path, path, deployment)
    finally:
        float_path.unlink(missing_ok=True)


def _deploy(
    model: nn.Module,
    workload: Workload,
    policy: Policy,
    float_path: Path,
    path: Path,
    deployment: Deployment,
) -> Artifact:
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


def _train(
    shaped: Shaped,
    workload: Workload,
    reference: nn.Module,
    policy: Policy,
    phases: _Phases,
    *,
    deployment: Deployment,
    seed: int,
) -> Shaped:
    recovery = policy.recovery
    if recovery is None:
        return shaped
    if recovery.sparsity is not None or recovery.prune_steps > 1:
        shaped = _prune_in_steps(
            workload, reference, policy, recovery, phases, deployment=deployment, seed=seed
        )
    else:
        objective = distilling(workload, recovery.distill, reference, shaped.model)
        progress, checkpoint = phases.start(phases.float_epochs)
        plan = Plan.of(recovery, seed=seed, epochs=phases.float_epochs)
        fit(
            shaped.model,
            workload,
            objective,
            plan,
            masks=shaped.masks,
            report=progress,
            checkpoint=checkpoint,
        )
    if recovery.bn_reestimation:
        reestimate(shaped.model, workload, seed=seed)
    return shaped


def _prune_in_steps(
    workload: Workload,
    reference: nn.Module,
    policy: Policy,
    recovery: Recovery,
    phases: _Phases,
    *,
    deployment: Deployment,
    seed: int,
) -> Shaped:
    """Sparsity training, then pruning and recovery in turns, from the unpruned student."""
    multiple = deployment.channel_multiple
    model = build_student(workload, reference, policy.student, multiple=multiple)
    if recovery.sparsity is not None:
        objective = penalized(
            distilling(workload, recovery.distill, reference, model), model, recovery.sparsity
        )
        progress, checkpoint = phases.start(recovery.sparsity.epochs)
        plan = Plan.of(recovery, seed=seed, epochs=recovery.sparsity.epochs)
        fit(model, workload, objective, plan, report=progress, checkpoint=checkpoint)
    pruner = _pruner(model, workload, policy, deployment=deployment, seed=seed)
    whole = Plan.of(recovery, seed=seed, epochs=phases.float_epochs)
    pieces = whole.pieces(_shares_of_training(recovery.prune_steps))
    for share, plan in zip(cubic_shares(recovery.prune_steps), pieces, strict=True):
        pruner.advance(share)
        objective = distilling(workload, recovery.distill, reference, model)
        progress, checkpoint = phases.start(plan.epochs)
        fit(
            model,
            workload,
            objective,
            plan,
            masks=pruner.masks,
            report=progress,
            checkpoint=checkpoint,
        )
    return Shaped(model, dict(pruner.masks), pruner.removed_blocks)


def _shares_of_training(steps: int) -> tuple[float, ...]:
    """The share of the training that follows each step of pruning.

    The final shape gets most of it: what is trained before is pruned again (docs/policies.md).
    """
    if steps == 1:
        return (1.0,)
    return (*[(1.0 - FINAL_SHARE) / (steps - 1)] * (steps - 1), FINAL_SHARE)


def _pruner(
    model: nn.Module, workload: Workload, policy: Policy, *, deployment: Deployment, seed: int
) -> Pruner:
    known = {name for name, _ in model.named_modules() if name}
    for name in policy.layers:
        if name not in known:
            raise InvalidPolicy.at(
                layer_pointer(name), f"the model has no layer {name!r}; it has {', '.join(sorted(known))}"
            )
    return Pruner(model, workload, policy, multiple=deployment.channel_multiple, seed=seed)


class _Phases:
    """How a recovery's epochs are spent, and their progress as one number.

    Quantization is simulated where there is a statically quantized layer to simulate; else all epochs train
    in float.
    """

    def __init__(self, policy: Policy, report: Report, checkpoints: Path | None) -> None:
        recovery = policy.recovery or Recovery(0.0)
        is_static = any(
            layer.activation is not None and layer.activation.mode == "static"
            for layer in policy.layers.values()
        )
        share = recovery.qat_share if recovery.qat and is_static else 0.0
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
