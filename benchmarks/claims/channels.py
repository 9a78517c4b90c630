"""Claims about whole channels: by L1 norm, by BatchNorm's scales, and in steps."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.inverted_residuals import InvertedResiduals
from benchmarks.claims.plain_cnn import PlainCnn
from benchmarks.claims.small_workload import SmallWorkload, on_fashion
from benchmarks.claims.trials import Trials, removed_share, speedup
from benchmarks.table import Row
from compression import take_inventory
from spaces import LayerPolicy, Policy, Prune, Recovery, Sparsity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spaces import Criterion

PLAIN_RATIO = 0.625
"""Of the plain network's channels; with counts rounded to 8, at least 80 % of its weights."""

SLIM_RATIOS = (0.25, 0.375, 0.5)
POINTS = 100


def channels(trials: Trials, ratio: float, criterion: Criterion) -> Mapping[str, LayerPolicy]:
    """One ratio for every group of channels that can be pruned."""
    inventory = take_inventory(trials.model, trials.workload.example_inputs())
    layer = LayerPolicy(Prune(ratio, "channel", criterion))
    return {
        group.leader: layer
        for group in inventory.groups
        if group.fixed_because is None and group.granularity == "channel"
    }


def plain_cnn() -> SmallWorkload:
    """The VGG-style network on Fashion-MNIST's subset."""
    return on_fashion("plain-cnn", PlainCnn, 10)


def _vgg_l1(setting: Setting) -> Iterator[Row]:
    trials = Trials(plain_cnn(), setting.directory)
    recovery = Recovery(4.0 if setting.quick else 10.0)
    found = trials.run(Policy(layers=channels(trials, PLAIN_RATIO, "l1"), recovery=recovery), setting.seed)
    removed = removed_share(trials.artifact, found.artifact)
    yield Row(
        f"VGG-style CNN on a subset of Fashion-MNIST ({trials.accuracy:.1%}): weights removed",
        ">= 80 %",
        f"{removed:.1%}",
        holds=removed >= 0.8,
        is_ours=False,
    )
    yield Row(
        f"its loss of accuracy after {recovery.epochs:g} epochs, test",
        "<= 1 point",
        f"{found.drop:.2f} points",
        found.interval,
        holds=found.drop <= 1,
        is_ours=False,
    )


def _slimming(setting: Setting) -> Iterator[Row]:
    trials = Trials(on_fashion("inverted-residuals", InvertedResiduals, 5), setting.directory)
    ratio, removed, (fast, interval) = _least_slim(trials, setting)
    penalized, after = (2.0, 6.0) if setting.quick else (4.0, 10.0)
    recovery = Recovery(after, sparsity=Sparsity("bn_scale", 1e-4, penalized))
    policy = Policy(layers=channels(trials, ratio, "bn_scale"), recovery=recovery)
    found = trials.run(policy, setting.seed)
    what = f"MobileNetV2-style CNN, {ratio:.1%} of the channels by scale"
    rows = (
        (f"{what}: weights removed", ">= 40 %", f"{removed:.1%}", "", removed >= 0.4),
        ("its speed on the artifact", ">= 2x", f"{fast:.2f}x", interval, fast >= 2),
        (
            f"its loss of accuracy from {trials.accuracy:.1%}, test",
            "<= 1 point",
            f"{found.drop:.2f} points",
            found.interval,
            found.drop <= 1,
        ),
    )
    for text, bar, measured, spread, holds in rows:
        yield Row(text, bar, measured, spread, holds=holds, is_ours=False)


def _least_slim(trials: Trials, setting: Setting) -> tuple[float, float, tuple[float, str]]:
    """The least ratio that removes 40 % of the weights and doubles the speed, else the greatest; and both."""
    policies = {ratio: Policy(layers=channels(trials, ratio, "bn_scale")) for ratio in SLIM_RATIOS}
    files = {ratio: trials.untrained(policy) for ratio, policy in policies.items()}
    timings = trials.timings({f"{ratio:g}": file for ratio, file in files.items()})
    for ratio, file in files.items():
        removed, fast = removed_share(trials.artifact, file), speedup(timings[f"{ratio:g}"])
        setting.say(f"{ratio:.1%} of the channels: {removed:.1%} of the weights, {fast[0]:.2f}x faster")
        if removed >= 0.4 and fast[0] >= 2:
            break
    return ratio, removed, fast


def _iterative(setting: Setting) -> Iterator[Row]:
    trials = Trials(plain_cnn(), setting.directory)
    layers = channels(trials, PLAIN_RATIO, "l1")
    seeds = range(setting.seed, setting.seed + (2 if setting.quick else 5))
    epochs = 10.0 if setting.quick else 20.0
    scores = {
        steps: [
            trials.run(Policy(layers=layers, recovery=Recovery(epochs, prune_steps=steps)), seed)
            for seed in seeds
        ]
        for steps in (5, 1)
    }
    removed = min(removed_share(trials.artifact, found.artifact) for found in scores[5])
    stepwise, at_once = ([found.accuracy for found in scores[steps]] for steps in (5, 1))
    kept = mean(stepwise) / trials.accuracy
    yield Row(
        f"VGG-style CNN, 5 steps in {epochs:g} epochs: weights removed, accuracy kept, test",
        ">= 80 % at >= 99 %",
        f"{removed:.1%} at {kept:.2%}",
        f"{min(stepwise) / trials.accuracy:.2%} … {max(stepwise) / trials.accuracy:.2%}",
        holds=removed >= 0.8 and kept >= 0.99,
    )
    gains = [POINTS * (step - shot) for step, shot in zip(stepwise, at_once, strict=True)]
    yield Row(
        f"its accuracy over one shot's with as many epochs, mean of {len(gains)} seeds, test",
        "> 0 points",
        f"{mean(gains):+.2f} points",
        f"{min(gains):+.2f} … {max(gains):+.2f}",
        holds=mean(gains) > 0,
    )


VGG_L1 = Claim(
    "vgg-l1",
    "pruning by L1 norm removes 80 % of a VGG-style network's parameters for about 1 point",
    "Li et al. 2017",
    _vgg_l1,
)
SLIMMING = Claim(
    "slimming",
    "pruning by BatchNorm's scales removes 40 % of a MobileNetV2-style network and doubles its speed",
    "Liu et al. 2017",
    _slimming,
)
ITERATIVE = Claim(
    "iterative",
    "pruning in steps keeps 99 % of the accuracy at 20 % of the parameters, above one shot",
    "Han et al. 2015; Zhu & Gupta 2017",
    _iterative,
)
