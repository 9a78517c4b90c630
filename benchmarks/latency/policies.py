"""Ten policies whose latencies lie close together, on a trained network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from compression import Deployment, compress, list_layers
from evaluators.targets import find_target, reduces_range
from spaces import ActivationFormat, LayerPolicy, Policy, Prune, WeightFormat

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from compression import Workload

CHANNELS: Final = 16
"""Removed at a step: what the float kernels of a wide vector unit compute at once."""

STEPS: Final = (
    ("stage2.1.conv1", 96),
    ("stage2.0.conv1", 96),
    ("stage1.0.conv1", 64),
    ("stage2.1.conv1", 96),
    ("stage2.0.conv1", 96),
    ("stage1.1.conv1", 64),
    ("stage2.1.conv1", 96),
    ("stage1.0.conv1", 64),
    ("stage1.1.conv1", 64),
)
"""Of `digits-cnn`: whose channels go next, and how many it has; each step takes 3 to 8 % of the work away."""


def close_policies(layers: list[str], *, int8: bool) -> list[Policy]:
    """The whole network and nine that each have 16 channels less than the one before.

    Args:
        layers: module paths of all weight layers.
        int8: every layer static int8; else floats.
    """
    form = (WeightFormat(8), ActivationFormat(8, "static")) if int8 else (None, None)
    removed: dict[str, int] = {}
    policies = []
    for step in (None, *STEPS):
        if step is not None:
            removed[step[0]] = removed.get(step[0], 0) + CHANNELS
        widths = dict(STEPS)
        prunes = {name: Prune(count / widths[name]) for name, count in removed.items()}
        each = {name: LayerPolicy(prunes.get(name), *form) for name in layers}
        policies.append(Policy(layers={name: layer for name, layer in each.items() if not layer.is_empty}))
    return policies


def artifacts(workload: Workload, model: nn.Module, directory: Path, *, int8: bool) -> dict[str, Path]:
    """The policies' files by the policy's position, without recovery: weights do not change latency."""
    target = find_target("local-cpu")
    deployment = Deployment(target.capabilities.channel_multiple, reduces_range(target))
    layers = [layer.name for layer in list_layers(model, workload.example_inputs())]
    paths = {}
    for index, policy in enumerate(close_policies(layers, int8=int8)):
        path = directory / f"{'int8' if int8 else 'float'}-{index}.onnx"
        compress(workload, model, policy, path, deployment=deployment)
        paths[str(index)] = path
    return paths
