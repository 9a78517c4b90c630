"""Claims about integers: int8, int4 and training with them, and pruning before int8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks.claims.channels import channels, plain_cnn
from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.trials import Score, Trials, speedup
from benchmarks.table import Row
from evaluators.workloads.fashion_resnet import FashionResNet
from spaces import ActivationFormat, LayerPolicy, Policy, Recovery, WeightFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


RATIOS: Final = (0.5, 0.625, 0.75)
SMALLER: Final = 16
FASTER: Final = 8
WHOLE_FOUR: Final = 3.5
"""A file holds names, scales and biases besides weights, so it shrinks by a little less than they do."""


def integers(bits: int) -> LayerPolicy:
    """Weights and activations of a number of bits, with static ranges."""
    return LayerPolicy(weight=WeightFormat(bits), activation=ActivationFormat(bits, "static"))


def _int8_int4_qat(setting: Setting) -> Iterator[Row]:
    trials = Trials(plain_cnn(), setting.directory)
    int8 = trials.run(Policy(layers=trials.every(integers(8))), setting.seed)
    int4 = trials.run(Policy(layers=trials.every(integers(4))), setting.seed)
    recovery = Recovery(2.0 if setting.quick else 6.0, qat=True, qat_share=1.0, quantizer="lsq")
    trained = trials.run(Policy(layers=trials.every(integers(4)), recovery=recovery), setting.seed)
    smaller, kept = trials.artifact.size_bytes / int8.artifact.size_bytes, trained.accuracy / trials.accuracy
    yield Row(
        f"VGG-style CNN on a subset of Fashion-MNIST ({trials.accuracy:.1%}), int8 by calibration: file and"
        " loss of accuracy, test",
        "4x smaller in whole numbers (>= 3.5x), <= 1 point",
        f"{smaller:.2f}x smaller, {int8.drop:.2f} points",
        int8.interval,
        holds=smaller >= WHOLE_FOUR and int8.drop <= 1,
    )
    yield Row(
        "int4 weights and activations (simulated) by calibration: its loss of accuracy",
        "more than int8's",
        f"{int4.drop:.2f} points",
        int4.interval,
        holds=int4.drop > int8.drop,
    )
    yield Row(
        f"int4 after {recovery.epochs:g} epochs of training with it: accuracy kept",
        ">= 98 %",
        f"{kept:.2%} ({trained.drop:.2f} points lost)",
        trained.interval,
        holds=kept >= 0.98,
    )


def _prune_int8(setting: Setting) -> Iterator[Row]:
    trials = Trials(FashionResNet(), setting.directory, "validation")
    policies = {ratio: _pruned_int8(trials, ratio) for ratio in RATIOS}
    files = {ratio: trials.untrained(Policy(layers=layers)) for ratio, layers in policies.items()}
    timings = trials.timings({f"{ratio:g}": file for ratio, file in files.items()})
    fast = {ratio: speedup(timings[f"{ratio:g}"]) for ratio in RATIOS}
    small = {ratio: trials.artifact.size_bytes / file.size_bytes for ratio, file in files.items()}
    for ratio in RATIOS:
        setting.say(f"{ratio:.1%} of the channels: {small[ratio]:.1f}x smaller, {fast[ratio][0]:.2f}x faster")
    reaching = [ratio for ratio in RATIOS if small[ratio] >= SMALLER and fast[ratio][0] >= FASTER]
    enough = reaching[0] if reaching else RATIOS[-1]
    for ratio in sorted({RATIOS[0], enough}):
        recovery = Recovery(2.0 if setting.quick else 3.0, distill=None)
        found = trials.run(Policy(layers=policies[ratio], recovery=recovery), setting.seed)
        yield _pruned_row(trials, ratio, found, small[ratio], fast[ratio])


def _pruned_int8(trials: Trials, ratio: float) -> Mapping[str, LayerPolicy]:
    int8 = integers(8)
    pruned = channels(trials, ratio, "l1")
    return {
        name: LayerPolicy(pruned[name].prune, int8.weight, int8.activation) if name in pruned else int8
        for name in trials.layers()
    }


def _pruned_row(trials: Trials, ratio: float, found: Score, smaller: float, fast: tuple[float, str]) -> Row:
    return Row(
        f"fashion-resnet ({trials.accuracy:.1%}), {ratio:.1%} of the channels removed, then int8: file, speed"
        " and loss of accuracy, validation",
        f">= {SMALLER}x, >= {FASTER}x, <= 1 point",
        f"{smaller:.1f}x smaller, {fast[0]:.2f}x faster, {found.drop:.2f} points",
        f"speed {fast[1]}; points {found.interval}",
        holds=smaller >= SMALLER and fast[0] >= FASTER and found.drop <= 1,
        is_ours=False,
    )


INT8_INT4_QAT = Claim(
    "int8-int4-qat",
    "int8 is 4x smaller for at most 1 point; int4 loses more; training with it recovers 98 % of the accuracy",
    "Jacob et al. 2018; Esser et al. 2020",
    _int8_int4_qat,
)
PRUNE_INT8 = Claim(
    "prune-int8",
    "pruning to half and int8 together make a network 16x smaller and 8x faster",
    "Han et al. 2016",
    _prune_int8,
)
