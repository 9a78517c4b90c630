"""How the claims about distillation train, and over which seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spaces import Distill, Recovery

if TYPE_CHECKING:
    from benchmarks.claims.claim import Setting
    from spaces.recovery import Features, Optimizer

WITH_TEACHER = Distill()
"""The product's defaults: temperature 4, 0.7 of the loss on the teacher's outputs."""


def seeds(setting: Setting) -> range:
    """Two in quick, else five."""
    return range(setting.seed, setting.seed + (2 if setting.quick else 5))


def taught_by(features: Features) -> Distill:
    """The teacher's outputs, and one kind of its inner states."""
    return Distill(features=features)


def recovery(
    setting: Setting,
    distill: Distill | None,
    optimizer: Optimizer = "adamw",
    learning_rate: float = 1e-3,
    *,
    is_new: bool = False,
) -> Recovery:
    """15 epochs in quick, else 40; twice as many for an encoder that starts from random weights.

    Args:
        setting: quick or not.
        distill: how the teacher teaches; ``None`` trains on labels alone.
        optimizer: of the training.
        learning_rate: its peak.
        is_new: the student is an encoder with random weights.
    """
    epochs = (15.0 if setting.quick else 40.0) * (2 if is_new else 1)
    return Recovery(epochs, distill=distill, optimizer=optimizer, learning_rate=learning_rate)
