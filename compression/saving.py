"""A compressed model on disk: its policy as JSON and its weights as safetensors, never a pickle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model

from compression.artifact import Deployment
from compression.compress import Compressed, Shaped
from compression.prunable import weight_names
from compression.pruning import Pruner
from compression.students import build_student
from spaces import CompressionError, Policy, digest_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from compression.workload import Workload

WEIGHTS: Final = "model.safetensors"
POLICY: Final = "policy.json"
_KEY: Final = "tauten"


def save(compressed: Compressed, policy: Policy, deployment: Deployment, directory: Path) -> None:
    """Writes ``policy.json`` and ``model.safetensors``, each aside and renamed.

    Args:
        compressed: the model before quantization is saved; its artifact is a file already.
        policy: that it was made by.
        deployment: that it was made for.
        directory: made if missing.
    """
    directory.mkdir(parents=True, exist_ok=True)
    known = {
        "policy": policy.digest,
        "deployment": deployment.to_dict(),
        "removed_blocks": list(compressed.shaped.removed_blocks),
    }
    weights = directory / f".{WEIGHTS}"
    save_model(compressed.model, str(weights), metadata={_KEY: json.dumps(known, sort_keys=True)})
    document = directory / f".{POLICY}"
    document.write_text(json.dumps(policy.to_dict(), indent=2) + "\n")
    weights.replace(directory / WEIGHTS)
    document.replace(directory / POLICY)


def load(directory: Path, workload: Workload, reference: nn.Module) -> tuple[Shaped, Policy]:
    """Reads what `save` wrote, to the bit, without training or calibration data.

    Args:
        directory: of `save`.
        workload: gives example inputs and student families.
        reference: a model of the architecture that was compressed; its weights do not matter.

    Raises:
        CompressionError: a file is missing or damaged, or does not fit the policy or the reference.
        InvalidPolicy: the policy cannot be read, or does not fit the reference.
    """
    try:
        policy = Policy.from_dict(json.loads((directory / POLICY).read_text()))
        with safe_open(directory / WEIGHTS, "pt") as file:
            known = json.loads((file.metadata() or {})[_KEY])
    except (OSError, json.JSONDecodeError, KeyError, SafetensorError) as error:
        detail = f"{type(error).__name__}: {error}"
        raise CompressionError(f"{directory} holds no compressed model that can be read: {detail}") from error
    if known["policy"] != digest_of(policy.to_dict()):
        raise CompressionError(f"{directory}: {WEIGHTS} was made by another policy than {POLICY} says")
    deployment, removed = Deployment.from_dict(known["deployment"]), tuple(known["removed_blocks"])
    model = build_student(workload, reference, policy.student, multiple=deployment.channel_multiple)
    Pruner(model, workload, policy, multiple=deployment.channel_multiple).advance_like(removed)
    try:
        load_model(model, str(directory / WEIGHTS))
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise CompressionError(f"{directory}: the weights do not fit this reference: {detail}") from error
    return Shaped(model.eval(), _masks(model, policy), removed), policy


def _masks(model: nn.Module, policy: Policy) -> dict[str, Tensor]:
    """What was zero among weights that were pruned one by one stays so in a later training."""
    sparse = [
        name
        for name, layer in policy.layers.items()
        if layer.prune is not None and not layer.prune.is_empty and not layer.prune.is_structured
    ]
    names = {parameter for layer in sparse for parameter in weight_names(model, layer)}
    return {name: weight.detach() != 0 for name, weight in model.named_parameters() if name in names}
