"""Quantization-aware training of an artifact: the graph that ships is the one that learns."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import onnx
import torch

from compression.distillation import distilling
from compression.qat.examples import calibration_examples
from compression.qat.graph_features import GraphFeatures
from compression.qat.graph_module import GraphModule
from compression.qat.initial_steps import start_steps
from compression.qat.writing import write_back
from compression.training import Plan, Report, fit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from compression.workload import Workload
    from spaces import Recovery

LEARNING_RATES: Final[Mapping[str, float]] = MappingProxyType({"sgd": 0.01, "adamw": 3e-4})
"""Peaks of the schedule by optimizer, where the recovery names none.

Below those of float training, for BatchNorm is folded; measured in docs/decisions/0012.
"""


def train_quantized(
    float_path: Path,
    quantized_path: Path,
    out: Path,
    workload: Workload,
    recovery: Recovery,
    teacher: nn.Module,
    *,
    student: nn.Module,
    epochs: float,
    seed: int,
    report: Report = lambda share: None,
    checkpoint: Path | None = None,
) -> None:
    """Trains a quantized artifact's weights through its own rounding, and writes the artifact anew.

    Weights start from the float model's, biases from the artifact's (which may hold a correction), and the
    zeros of the float model's weights stay. With ``quantizer="lsq"`` the scales of weights and activations
    learn, too. BatchNorm is part of the convolutions by then. Inner states that the teacher teaches are found
    in the graph by their values (`GraphFeatures`).

    Args:
        float_path: the float ONNX file that the artifact was quantized from.
        quantized_path: the artifact.
        out: the file to write; may be `quantized_path`. It holds the same nodes and names.
        workload: train batches and loss; calibration batches for a patience.
        recovery: optimizer, learning rate, patience, quantizer and how the teacher teaches; its own epochs
            are not read.
        teacher: the reference; not changed.
        student: the torch model that the float file was exported from; its blocks are the graph's.
        epochs: passes over the train split; with 0 the weights stay as they were rounded.
        seed: of shuffling.
        report: told the share done after each step.
        checkpoint: a file that a killed training continues from.

    Raises:
        CompressionError: the artifact holds what cannot be trained, named by operator and layer; or the
            student's features are not found in it.
        WorkloadError: the train split, or with ``lsq`` the calibration split, is empty; or the loss is not
            finite.
    """
    model, whole = onnx.load(quantized_path), onnx.load(float_path)
    module = GraphModule(model, whole, learns_steps=recovery.quantizer == "lsq")
    if recovery.quantizer == "lsq" and epochs > 0:
        start_steps(module, calibration_examples(workload, "learning step sizes"))
    plan = Plan.of(recovery, seed=seed, epochs=epochs)
    if plan.learning_rate is None:
        plan = replace(plan, learning_rate=LEARNING_RATES[plan.optimizer])
    distill, match = recovery.distill, None
    if distill is not None and distill.features != "none":
        match = GraphFeatures(distill.features, module, GraphModule(whole), student, teacher, workload)
    fit(
        module,
        workload,
        distilling(workload, distill, teacher, module, match=match),
        plan,
        masks=pruned(module),
        report=report,
        checkpoint=checkpoint,
    )
    write_back(module, model)
    onnx.checker.check_model(model)
    written = out.with_name(f".trained-{out.name}")
    try:
        onnx.save(model, written)
        written.replace(out)
    finally:
        written.unlink(missing_ok=True)


def pruned(module: GraphModule) -> dict[str, Tensor]:
    """Masks that keep zero weights zero: bool by parameter name, true where a weight is kept.

    Only tensors of two dimensions or more that hold a zero have one; a bias may start at zero and learn.
    """
    masks = {
        name: parameter.detach() != 0 for name, parameter in module.named_parameters() if parameter.dim() > 1
    }
    return {name: mask for name, mask in masks.items() if not bool(torch.all(mask))}
