"""The claim that gradients tell which attention heads matter."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING, Final

from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.row_encoder import RowEncoder
from benchmarks.claims.small_workload import on_digits
from benchmarks.claims.trials import Trials
from benchmarks.table import Row
from spaces import LayerPolicy, Policy, Prune

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spaces import Criterion

RATIO: Final = 0.5
RIVALS: Final[Mapping[Criterion, str]] = {"l1": "magnitude", "random": "random choice"}


def _run(setting: Setting) -> Iterator[Row]:
    drops: dict[Criterion, list[float]] = {criterion: [] for criterion in ("gradient", *RIVALS)}
    for seed in range(setting.seed, setting.seed + (2 if setting.quick else 5)):
        trials = Trials(on_digits("row-encoder", RowEncoder, 60).seeded(seed), setting.directory)
        leaders = [name for name in trials.layers() if name.endswith("attention.query")]
        for criterion, lost in drops.items():
            layer = LayerPolicy(Prune(RATIO, "head", criterion))
            found = trials.run(Policy(layers=dict.fromkeys(leaders, layer)), seed)
            lost.append(found.drop)
        setting.say(f"seed {seed}: {trials.accuracy:.1%} before, {drops['gradient'][-1]:.1f} points lost")
    own = mean(drops["gradient"])
    for other, name in RIVALS.items():
        rival = mean(drops[other])
        gains = [theirs - ours for theirs, ours in zip(drops[other], drops["gradient"], strict=True)]
        yield Row(
            f"encoder on digits, {RATIO:.0%} of the heads, not trained: points lost by gradient and by"
            f" {name}, mean of {len(gains)} networks, test",
            "fewer by gradient",
            f"{own:.2f} and {rival:.2f}",
            f"{min(gains):+.2f} … {max(gains):+.2f} fewer",
            holds=own < rival,
            is_ours=False,
        )


HEAD_GRADIENT = Claim(
    "head-gradient",
    "choosing attention heads by gradient loses less than by magnitude or at random",
    "Michel et al. 2019",
    _run,
)
