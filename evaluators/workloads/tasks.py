"""What is minimised and what counts, by name, for workloads that are described rather than written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from torch.nn import functional as F  # noqa: N812

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of ``n x classes`` logits and ``n`` classes, or of both at each position of a sequence."""
    return F.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def mean_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Of ``n x …`` values, or of ``n x 1`` and ``n``."""
    return F.mse_loss(outputs.reshape(targets.shape), targets.to(outputs.dtype))


def share_right(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Share of targets whose largest logit is the right one."""
    return float((outputs.argmax(axis=-1) == targets).mean())


def r_squared(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """Share of the targets' variance that is explained; 1 is perfect, and the mean alone scores 0."""
    truth = np.asarray(targets, dtype=np.float64)
    errors = float(np.square(outputs.reshape(truth.shape) - truth).sum())
    return 1.0 - errors / max(float(np.square(truth - truth.mean(axis=0)).sum()), 1e-12)


def inverse_perplexity(outputs: NDArray[Any], targets: NDArray[Any]) -> float:
    """The geometric mean of the right tokens' probabilities in a sequence, averaged over sequences.

    Of one sequence it is 1 / perplexity. It lies between 0 and 1, higher is better, and being a mean over
    examples it has an exact resampling.

    Args:
        outputs: logits, ``n x tokens x vocabulary``.
        targets: tokens, ``n x tokens``.
    """
    logits = outputs.astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    right = np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    surprise = np.log(np.exp(logits).sum(axis=-1)) - right
    return float(np.exp(-surprise.mean(axis=-1)).mean())


LOSSES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "cross-entropy": cross_entropy,
    "mean-squared-error": mean_squared_error,
}
METRICS: Final[dict[str, Callable[[NDArray[Any], NDArray[Any]], float]]] = {
    "accuracy": share_right,
    "r-squared": r_squared,
    "inverse-perplexity": inverse_perplexity,
}
USUAL_METRIC: Final = {"cross-entropy": "accuracy", "mean-squared-error": "r-squared"}
"""Where a description names a loss alone."""
