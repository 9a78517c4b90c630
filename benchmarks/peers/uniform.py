"""Uniform pruning, fine-tuned like ours, then int8: by Torch-Pruning itself, and by our own techniques."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Final

from benchmarks.peers.onnx_runtime import quantize_all
from benchmarks.peers.peer import Ground, Made, Peer
from compression import compress, export_float, take_inventory
from compression.distillation import distilling
from compression.training import Plan, fit
from spaces import ActivationFormat, LayerPolicy, Policy, Prune, Recovery, WeightFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

RATIOS: Final = (0.0, 0.25, 0.5, 0.625, 0.75)
"""None is the control: as long a training without pruning."""

ROUNDED: Final = 8


def _torch_pruning(ground: Ground) -> Iterator[Made]:
    workload, reference = ground.evaluator.workload, ground.evaluator.reference.model
    for ratio in RATIOS:
        model = copy.deepcopy(reference)
        if ratio:
            _prune(model, workload.example_inputs(), ratio)
        plan = Plan(ground.epochs, seed=ground.seed)
        fit(model, workload, distilling(workload, None, reference, model), plan)
        float_path, path = (ground.directory / f"torch-pruning-{ratio:g}{end}.onnx" for end in (".float", ""))
        export_float(model, workload, float_path)
        quantize_all(float_path, path, workload)
        float_path.unlink()
        yield Made(f"{ratio:.1%} of the channels, {ground.epochs:g} epochs, static int8", path)


def _prune(model: nn.Module, inputs: Any, ratio: float) -> None:
    """Groups by L1 norm, all by the same ratio, the classifier's outputs apart."""
    import torch_pruning

    outputs = [module for name, module in model.named_modules() if name in {"head", "out", "classifier"}]
    pruner = torch_pruning.pruner.BasePruner(
        model,
        inputs,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=1),
        pruning_ratio=ratio,
        ignored_layers=outputs,
        round_to=ROUNDED,
    )
    pruner.step()


def _grid(ground: Ground) -> Iterator[Made]:
    evaluator = ground.evaluator
    workload, reference = evaluator.workload, evaluator.reference.model
    inventory = take_inventory(reference, workload.example_inputs())
    leaders = {group.leader for group in inventory.groups if group.fixed_because is None}
    int8 = LayerPolicy(None, WeightFormat(8), ActivationFormat(8, "static"))
    for ratio in RATIOS:
        pruned = LayerPolicy(Prune(ratio) if ratio else None, int8.weight, int8.activation)
        layers = {layer.name: pruned if layer.name in leaders else int8 for layer in inventory.layers}
        path = ground.directory / f"grid-{ratio:g}.onnx"
        policy = Policy(layers=layers, recovery=Recovery(ground.epochs, distill=None))
        compress(workload, reference, policy, path, deployment=evaluator.deployment, seed=ground.seed)
        yield Made(f"{ratio:.1%} of the channels, {ground.epochs:g} epochs, static int8", path)


TORCH_PRUNING = Peer("Torch-Pruning uniform, then ONNX Runtime", "torch-pruning", _torch_pruning)
GRID = Peer("a grid of uniform ratios, by our techniques", "tauten", _grid)
