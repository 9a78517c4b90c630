"""Matching a student's inner states with the teacher's: what a match offers, and which kinds exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from compression.attention_scores import AttentionScores
from compression.hidden_states import HiddenStates
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    import torch
    from torch import Tensor, nn


class FeatureMatch(Protocol):
    """A loss between inner states of two models.

    ``with match.watching(model) as seen: model(...)`` records what the match needs of one pass of either
    model; nothing stays attached to a model afterwards.
    """

    def watching(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Records the states of one pass into what it yields."""
        ...

    def loss(self, seen: Any, taught: Any) -> Tensor:
        """A scalar of a student's and the teacher's record; 0 where both agree."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is learned along with the student, and thrown away after."""
        ...

    def to(self, device: torch.device) -> object:
        """Moves these parameters."""
        ...


KINDS: Mapping[str, Callable[[nn.Module, nn.Module, tuple[Tensor, ...]], FeatureMatch]] = {
    "hidden": HiddenStates,
    "attention": AttentionScores,
}


def match_features(
    kind: str, student: nn.Module, teacher: nn.Module, inputs: tuple[Tensor, ...]
) -> FeatureMatch:
    """The match of a kind, ``hidden`` or ``attention``, for two models.

    Args:
        kind: of `spaces.Distill.features`.
        student: run once on the inputs, in eval mode; not changed.
        teacher: likewise.
        inputs: example inputs, batch first.

    Raises:
        CompressionError: the kind is unknown, or the models do not have such states.
    """
    if kind not in KINDS:
        raise CompressionError(f"unknown features {kind!r}; choose one of: none, {', '.join(KINDS)}")
    return KINDS[kind](student, teacher, inputs)
