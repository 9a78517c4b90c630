"""What of a policy is left once whole blocks of its model are gone. Removes nothing itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compression.passing import PassThrough

if TYPE_CHECKING:
    from torch import nn

    from spaces import Policy


def remaining(policy: Policy, model: nn.Module) -> Policy:
    """The policy without what it says of layers inside blocks that are gone.

    Which blocks go is known only once they are ranked, so a policy may prune a run of blocks and say how each
    of its layers is quantized: what it says of a layer goes with the layer (docs/decisions/0025).

    Args:
        policy: of the model before its blocks went.
        model: in which a `PassThrough` stands for each block that is gone.

    Returns:
        The same policy if the model lost no block.
    """
    gone = tuple(f"{path}." for path, module in model.named_modules() if isinstance(module, PassThrough))
    if not gone:
        return policy
    layers = {name: layer for name, layer in policy.layers.items() if not name.startswith(gone)}
    return replace(policy, layers=layers)
