"""The way from a policy to an artifact: student, pruning, recovery, deployment. Each stage stands alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compression.artifact import Artifact, Deployment
from compression.channels import prune_channels
from compression.distillation import Report, recover
from compression.export import export_float
from compression.quantization import quantize_int8
from compression.students import build_student
from compression.tracing import WEIGHT_LAYERS
from spaces import InvalidPolicy, LayerPolicy, Policy, layer_pointer

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from compression.workload import Workload


@dataclass(frozen=True, slots=True)
class Compressed:
    """A compressed model and its file.

    Attributes:
        model: in eval mode, before quantization.
        artifact: the deployable file.
    """

    model: nn.Module
    artifact: Artifact


def compress(
    workload: Workload,
    reference: nn.Module,
    policy: Policy,
    path: Path,
    *,
    deployment: Deployment,
    seed: int = 0,
    report: Report = lambda share: None,
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

    Raises:
        InvalidPolicy: the policy names a layer that the student does not have, or asks for what it cannot
            take.
        CompressionError: a stage cannot do what it is asked.
        WorkloadError: the workload's own code fails, or its model cannot be exported.
    """
    model = shape_model(workload, reference, policy, deployment=deployment, seed=seed)
    if policy.recovery is not None:
        recover(model, workload, policy.recovery, reference, seed=seed, report=report)
    return Compressed(model, deploy(model, workload, policy, path, deployment=deployment))


def shape_model(
    workload: Workload, reference: nn.Module, policy: Policy, *, deployment: Deployment, seed: int
) -> nn.Module:
    """The policy's student, pruned: it has its final shapes, and is not trained yet."""
    multiple = deployment.channel_multiple
    model = build_student(workload, reference, policy.student, multiple=multiple)
    layers = {name for name, module in model.named_modules() if isinstance(module, WEIGHT_LAYERS)}
    for name in policy.layers:
        if name not in layers:
            raise InvalidPolicy.at(
                layer_pointer(name), f"the model has no layer {name!r}; it has {', '.join(layers)}"
            )
    prune_channels(model, workload.example_inputs(), policy, multiple=multiple, seed=seed)
    return model


def deploy(
    model: nn.Module, workload: Workload, policy: Policy, path: Path, *, deployment: Deployment
) -> Artifact:
    """Writes a model's artifact, with the policy's layers quantized."""
    quantized = [name for name, layer in policy.layers.items() if layer.is_quantized]
    for name in quantized:
        _check_int8(name, policy.layers[name])
    if not quantized:
        export_float(model, workload, path)
        return Artifact.at(path)
    whole = path.with_name(f".float-{path.name}")
    try:
        export_float(model, workload, whole)
        quantize_int8(whole, path, workload, quantized, reduce_range=deployment.reduce_range)
    finally:
        whole.unlink(missing_ok=True)
    return Artifact.at(path)


def _check_int8(name: str, layer: LayerPolicy) -> None:
    weight, activation = layer.weight, layer.activation
    if (
        weight is None
        or activation is None
        or (weight.bits, activation.bits, activation.mode) != (8, 8, "static")
    ):
        detail = "only 8-bit weights with 8-bit static activations can be deployed; use these, or 32 and 32"
        raise InvalidPolicy.at(layer_pointer(name), detail)
    if weight.granularity != "channel" or not weight.symmetric:
        detail = "only symmetric weights with a scale for each channel can be deployed"
        raise InvalidPolicy.at(layer_pointer(name, "weight"), detail)
