"""The pruned models that a measurement of sensitivities asks for, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression import shape
from compression.pruned_copies import UNITS, PrunedCopies
from spaces import CompressionError, LayerPolicy, Policy, Prune

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from evaluators.evaluator import Evaluator
    from evaluators.offer import Offer


class Shaper:
    """Makes models of one student that differ in their ratios.

    Args:
        evaluator: with the reference.
        offer: where ratios may stand and what they remove.
    """

    def __init__(self, evaluator: Evaluator, offer: Offer) -> None:
        self._evaluator, self._offer = evaluator, offer
        self.whole = self._shaped({})
        self._copies = self._prepared()

    def at(self, ratios: Mapping[str, float]) -> nn.Module:
        """A model of its own with these ratios."""
        return self._copies.at(ratios) if self._copies is not None else self._shaped(ratios)

    def _prepared(self) -> PrunedCopies | None:
        """Traced once where that is possible: blocks, zeros and grouped convolutions are shaped anew."""
        offer, evaluator = self._offer, self._evaluator
        if not offer.ratios or {unit for unit, _ in offer.ratios.values()} - UNITS:
            return None
        try:
            return PrunedCopies(
                self.whole,
                evaluator.workload,
                tuple(offer.ratios),
                criterion=offer.criterion,
                multiple=evaluator.deployment.channel_multiple,
                seed=evaluator.seed,
            )
        except CompressionError:
            return None  # nothing is lost but time

    def _shaped(self, ratios: Mapping[str, float]) -> nn.Module:
        offer, evaluator = self._offer, self._evaluator
        layers = {
            name: LayerPolicy(prune=Prune(ratio, offer.ratios[name][0], offer.criterion))
            for name, ratio in ratios.items()
            if ratio > 0
        }
        policy = Policy(offer.student, layers)
        deployment, model = evaluator.deployment, evaluator.reference.model
        return shape(evaluator.workload, model, policy, deployment=deployment, seed=evaluator.seed).model
