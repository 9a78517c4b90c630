"""BatchNorm's running statistics, computed again for weights that have changed. Trains nothing."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from compression.accelerator import accelerated, moved, seeded
from spaces import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.workload import Workload

BATCH_SIZE: Final = 64


def reestimate(model: nn.Module, workload: Workload, *, seed: int, batches: int = 50) -> None:
    """Resets the running means and variances, and computes them as plain averages over train batches.

    Only BatchNorm is in train mode meanwhile: dropout and the like act as they will when the model is used.
    A model without running statistics stays as it is, and no data are read. Batches of a single example are
    left out.

    Args:
        model: changed in place: the statistics, nothing else. Left in eval mode.
        workload: its train batches, of 64.
        seed: of their order, and augmentation.
        batches: at most; one pass over the train split ends it.

    Raises:
        WorkloadError: there is no train batch of two examples.
    """
    model.eval()
    norms = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.running_mean is not None
    ]
    if not norms:
        return
    seen, momenta = 0, [norm.momentum for norm in norms]
    try:
        with accelerated(model) as device, seeded(seed), torch.no_grad():
            data = workload.batches("train", BATCH_SIZE, seed=seed)
            several = (moved(batch, device) for batch in data if len(batch[1]) > 1)
            for inputs, _ in itertools.islice(several, batches):
                if seen == 0:
                    _reset(norms)
                model(*inputs)
                seen += 1
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        model.eval()
    if seen == 0:
        raise WorkloadError(
            f"workload {workload.name!r}: the train split has no batch of two examples, so BatchNorm's "
            "statistics cannot be computed again"
        )


def _reset(norms: Sequence[_BatchNorm]) -> None:
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's way to say: a cumulative average
        norm.train()
