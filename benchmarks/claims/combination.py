"""Pruning, quantization and distillation in one policy, against each of them alone at its latency."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.recoveries import WITH_TEACHER, seeds
from benchmarks.claims.scoring import apply, difference, latencies, percent, right_answers, speedup
from benchmarks.table import Row
from compression import take_inventory
from evaluators.workloads.digits_cnn import DigitsCnn
from spaces import ActivationFormat, LayerPolicy, Policy, Prune, Recovery, Student, WeightFormat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import nn

    from benchmarks.claims.scoring import Flags
    from evaluators.latency import Timing
    from spaces import LayerInventory

HALF: Final = 0.5
RATIOS: Final = (0.25, 0.375, 0.5, 0.625, 0.75, 0.875)
"""Channels come in eights, so these are the shapes that there are."""

COMBINED: Final = "combined"


def _layers(inventory: LayerInventory, ratio: float, *, int8: bool) -> dict[str, LayerPolicy]:
    leaders = {group.leader for group in inventory.groups if group.fixed_because is None}
    prune = Prune(ratio)
    weight, activation = (WeightFormat(8), ActivationFormat(8, "static")) if int8 else (None, None)
    return {
        layer.name: LayerPolicy(prune if ratio and layer.name in leaders else None, weight, activation)
        for layer in inventory.layers
    }


def fastest_no_faster(timings: Mapping[str, Timing], names: Sequence[str], combined: str) -> str:
    """Of the names, the fastest that is not faster than the combination, so that latency favours the names.

    Where all are faster it is the slowest of them.
    """
    slower = [name for name in names if timings[name].ratio >= timings[combined].ratio]
    if slower:
        return min(slower, key=lambda name: timings[name].ratio)
    return max(names, key=lambda name: timings[name].ratio)


def _runs(setting: Setting, task: DigitsCnn, model: nn.Module, policy: Policy) -> list[Flags]:
    """Right answers by seed; what is not trained is the same for every seed."""
    path = setting.directory / "trained.onnx"
    found = []
    for seed in seeds(setting) if policy.recovery else [setting.seed]:
        apply(task, model, policy, path, seed)
        found.append(right_answers(path, task))
    setting.say(percent(found))
    return found if policy.recovery else found * len(seeds(setting))


def _run(setting: Setting) -> Iterator[Row]:
    task = DigitsCnn()
    model = task.model()
    inventory = take_inventory(model, task.example_inputs())
    epochs = 3.0 if setting.quick else 10.0
    taught, labels = Recovery(epochs, distill=WITH_TEACHER), Recovery(epochs, distill=None)
    both = _layers(inventory, HALF, int8=True)
    rivals = {
        "pruning": {
            f"pruning {ratio:.1%} of the channels alone": Policy(layers=_layers(inventory, ratio, int8=False))
            for ratio in RATIOS
        },
        "distilling": {
            f"distilling a student of {1 - ratio:.1%} of the width alone": Policy(Student(width=1 - ratio))
            for ratio in RATIOS
        },
        "int8": {
            "int8 alone, at the one latency that it has": Policy(layers=_layers(inventory, 0, int8=True))
        },
    }
    shapes = {COMBINED: Policy(layers=both)}
    for policies in rivals.values():
        shapes |= policies
    baseline = setting.directory / "float.onnx"
    paths = {name: setting.directory / f"shape-{index}.onnx" for index, name in enumerate(shapes)}
    apply(task, model, Policy(), baseline)
    for name, policy in shapes.items():
        apply(task, model, policy, paths[name])
    timings = latencies(task, paths, baseline)
    known = right_answers(baseline, task)
    ours = _runs(setting, task, model, replace(shapes[COMBINED], recovery=taught))
    yield Row(
        "digits-cnn, half the channels, int8 and distillation in one policy",
        "",
        f"{percent(ours)} at {speedup(timings[COMBINED])} (fp32: {percent(known)})",
        is_ours=False,
    )
    for kind, how in (("pruning", labels), ("distilling", taught), ("int8", None)):
        what = fastest_no_faster(timings, list(rivals[kind]), COMBINED)
        theirs = _runs(setting, task, model, replace(shapes[what], recovery=how))
        yield _against(what, ours, theirs, timings[COMBINED], timings[what], setting.seed)


def _against(
    what: str, ours: list[Flags], theirs: list[Flags], mine: Timing, other: Timing, seed: int
) -> Row:
    gain = difference(ours, theirs, seed)
    return Row(
        f"the combination less {what}, points",
        "faster or as fast, and > 0 points",
        f"{100 * gain.value:+.2f} ({percent(theirs)}) at {speedup(mine)} against {speedup(other)}",
        gain.interval,
        holds=gain.value > 0 and (is_tie(mine, other) or mine.ratio < other.ratio),
        is_ours=False,
    )


def is_tie(one: Timing, other: Timing) -> bool:
    """Latencies within 3 % are a tie."""
    return abs(one.ratio / other.ratio - 1) < 0.03


COMBINATION = Claim(
    "combination",
    "pruning, quantization and distillation together dominate each alone at equal latency",
    "Han et al. 2016, Deep Compression; Polino et al. 2018",
    _run,
)
