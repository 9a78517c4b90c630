"""A family of synthetic networks: forty layers, five bit-widths and four ratios each, with interactions.

Layers differ in sensitivity and cost by orders of magnitude. Losses are superadditive, as they were measured
on real models, neighbouring layers interact in ways that no profile of single layers sees, and accuracies
carry the noise of a finite validation split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from search.samplers.guided import Branch, Problem
from search.samplers.guided.problem import guessed_losses

if TYPE_CHECKING:
    from collections.abc import Callable

    from search.sweep import Floats, Ints

LAYERS: Final = 40
BITS: Final = (8, 6, 4, 3, 2)
RATIOS: Final = (0.0, 0.25, 0.5, 0.75)
EXAMPLES: Final = 2_000
PROFILE_NOISE: Final = {"good": 0.4, "poor": 1.5}
CHARGE: Final = 5
BEST: Final = 0.95
"""Accuracy of a network that nothing is taken from."""

VERSION: Final = 2

Kind = Literal["good", "poor", "shuffled", "none"]


class Network:
    """One synthetic network.

    Args:
        seed: of the network, of its profile and of the evaluations' noise.
        layers: number of layers.
    """

    charge, best = CHARGE, BEST

    def __init__(self, seed: int, layers: int = LAYERS) -> None:
        draw = np.random.default_rng([20, seed])
        self.name, self._seed, self._layers = f"synthetic-{layers}", seed, layers
        self.key = f"{self.name}:{seed}:{VERSION}"
        kinds = (("bits", len(BITS)), ("ratio", len(RATIOS)))
        self.axes = {f"{kind}{layer}": size for layer in range(layers) for kind, size in kinds}
        self._weights = draw.lognormal(0.0, 1.0, layers)
        self._macs = draw.lognormal(0.0, 1.0, layers)
        share = self._weights / self._weights.sum()
        by_bits = draw.lognormal(0.0, 1.2, layers)[:, None] * 4.0 ** (2.0 - np.array(BITS))[None]
        by_ratio = draw.lognormal(0.0, 1.0, layers)[:, None] * np.array(RATIOS)[None] ** 1.7
        scale = 1.6 / layers
        self._bits = scale * (by_bits - by_bits[:, :1])
        self._ratio = scale * 2.0 * by_ratio * (0.5 + share.mean() * layers / 2)
        self._pairs = draw.lognormal(-0.5, 1.0, layers - 1) * draw.integers(2, size=layers - 1)
        noise = np.random.default_rng([21, seed])
        self._profile_noise = noise.standard_normal((layers, 2))
        self._order = noise.permutation(layers)
        severities = [(1.0, 0), (0.5, 0), (0.25, 0), (1.0, 1), (0.5, 1), (1.0, 2), (0.5, 2), (0.25, 1)]
        self.anchors = [
            tuple(round(bits * 4) if at % 2 == 0 else ratio for at in range(2 * layers))
            for bits, ratio in severities
        ]

    def evaluate(self, point: tuple[int, ...]) -> tuple[float, ...]:
        """Accuracy with noise, size, latency; the same point always gives the same values."""
        values = np.array(point)
        bits, ratio = values[0::2], values[1::2]
        layers = np.arange(self._layers)
        losses = self._bits[layers, bits] + self._ratio[layers, ratio]
        total = losses.sum() + (self._pairs * np.sqrt(losses[:-1] * losses[1:])).sum()
        total = total * (1 + total)
        accuracy = 0.1 + (BEST - 0.1) * np.exp(-total)
        noise = np.random.default_rng([22, self._seed, *point])
        accuracy = noise.binomial(EXAMPLES, accuracy) / EXAMPLES
        return (float(accuracy), *self.costs(values[None])[0].tolist())

    def costs(self, points: Ints) -> Floats:
        """Size and latency, relative to 32 bits: ``n x axes`` to ``n x 2``."""
        bits, kept = np.array(BITS)[points[:, 0::2]], 1 - np.array(RATIOS)[points[:, 1::2]]
        size = (self._weights * kept * bits / 32).sum(axis=1) / self._weights.sum()
        latency = (self._macs * kept * (0.25 + 0.75 * bits / 32)).sum(axis=1) / self._macs.sum()
        return np.column_stack([size, latency])

    def problem(self, profile: str) -> Problem:
        """The axes with a profile of a kind, and the costs, which are exact."""
        return Problem(
            (self._branch(profile),),
            is_profiled=profile != "none",
            scales=(1.0, 1.0),
            best=BEST,
        )

    def _branch(self, profile: str) -> Branch:
        losses: list[Floats] = []
        if profile == "none":
            losses = [guessed_losses(size) for size in self.axes.values()]
        else:
            spread = PROFILE_NOISE.get(profile, PROFILE_NOISE["good"])
            order = self._order if profile == "shuffled" else np.arange(self._layers)
            factors = np.exp(spread * self._profile_noise)
            for layer in order:
                losses.append(self._bits[layer] * factors[layer, 0])
                losses.append(self._ratio[layer] * factors[layer, 1])
        together = tuple((2 * layer, 2 * layer + 1) for layer in range(self._layers))
        base = 0.05 if profile != "none" else 1.0
        return Branch(tuple(self.axes), tuple(losses), Exact(self.costs), base, together)


class Exact:
    """Costs that need no fitting."""

    def __init__(self, costs: Callable[[Any], Any]) -> None:
        self._costs = costs

    def fitted(self, points: Ints, observed: Floats) -> Callable[[Ints], Floats]:
        """The function itself."""
        return self._costs
