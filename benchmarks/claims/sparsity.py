"""Claims about single weights: a magnitude threshold, and training with an L1 penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.trials import Trials, zero_share
from benchmarks.table import Row
from evaluators.workloads.digits_cnn import DigitsCnn
from spaces import LayerPolicy, Policy, Prune, Recovery, Sparsity

if TYPE_CHECKING:
    from collections.abc import Iterator

STRENGTH: Final = 1e-4
"""Of the L1 penalty beside the loss."""


def _threshold(setting: Setting) -> Iterator[Row]:
    trials = Trials(DigitsCnn(), setting.directory)
    weights = trials.model.state_dict()
    magnitudes = np.concatenate([weights[f"{name}.weight"].abs().numpy().ravel() for name in trials.layers()])
    threshold = float(np.quantile(magnitudes, 0.301))
    policy = Policy(layers=trials.every(LayerPolicy(Prune(granularity="weight", threshold=threshold))))
    found = trials.run(policy)
    zeros = zero_share(found.artifact)
    yield Row(
        f"digits-cnn, weights below {threshold:.4f} removed, not trained: share of zeros in the file",
        ">= 30 %",
        f"{zeros:.1%}",
        holds=zeros >= 0.3,
    )
    yield Row(
        "its loss of accuracy, test",
        "<= 0.5 points",
        f"{found.drop:.2f} points",
        found.interval,
        holds=found.drop <= 0.5,
    )


def _l1_training(setting: Setting) -> Iterator[Row]:
    trials = Trials(DigitsCnn(), setting.directory)
    layers = trials.every(LayerPolicy(Prune(0.905, "weight")))
    penalized, after = 16.0, 8.0
    arms = {
        f"L1 penalty for {penalized:g} epochs": Recovery(
            after, distill=None, sparsity=Sparsity("weight", STRENGTH, penalized)
        ),
        "no penalty, as many epochs": Recovery(penalized + after, distill=None),
    }
    for index, (name, recovery) in enumerate(arms.items()):
        found = trials.run(Policy(layers=layers, recovery=recovery), setting.seed)
        zeros = zero_share(found.artifact)
        yield Row(
            f"digits-cnn, {name}, pruned and trained on: zeros and loss of accuracy, test",
            ">= 90 % and <= 1 point" if index == 0 else "",
            f"{zeros:.1%}, {found.drop:.2f} points",
            found.interval,
            holds=zeros >= 0.9 and found.drop <= 1 if index == 0 else None,
            is_ours=False,
        )


THRESHOLD = Claim(
    "threshold",
    "a magnitude threshold removes 30 % of the weights for no significant loss",
    "Han et al. 2015",
    _threshold,
)
L1_TRAINING = Claim(
    "l1-training", "L1-regularised training reaches 90 % sparsity", "Han et al. 2015", _l1_training
)
