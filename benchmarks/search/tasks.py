"""The real problems: a workload each, what of it may be searched, and how much of it one evaluation reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch

from spaces import Bits, Capabilities, Kernel, LayerRule, SpaceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from compression import Batch, Workload

BITS: Final = (8, 6, 4, 3, 2)
RATIOS: Final = (0.0, 0.25, 0.5, 0.75)
WEIGHTS_ALONE: Final = Capabilities(tuple(Kernel("*", bits, 32, "none", f"int{bits}") for bits in BITS), 8)
"""A target that stores weights in any of the bit-widths, whatever the operator."""


@dataclass(frozen=True, slots=True)
class Task:
    """One real problem.

    Attributes:
        make: the workload.
        examples: of the validation split that an evaluation reads.
        whole: examples of the validation split, by which the profile is charged.
        rules: exceptions of the space.
        batches: of a split; as the workload gives them where there is none.
    """

    make: Callable[[], Workload]
    examples: int
    whole: int
    rules: Mapping[str, LayerRule] = field(default_factory=dict)
    batches: Callable[[Workload, str, int], Iterator[Batch]] | None = None

    @property
    def request(self) -> SpaceRequest:
        """What is offered: weights of 2 to 8 bits a layer, four ratios a group; nothing is retrained."""
        bits = tuple(Bits(width, 32) for width in BITS)
        return SpaceRequest((None,), RATIOS, bits=bits, recovery=(None,), layers=self.rules)


def _digits() -> Workload:
    from evaluators.workloads.digits_cnn import DigitsCnn

    return DigitsCnn()


def _fashion() -> Workload:
    from evaluators.workloads.fashion_resnet import FashionResNet

    return FashionResNet()


def _sentiment() -> Workload:
    from evaluators.workloads.minilm_sentiment import MinilmSentiment

    return MinilmSentiment()


def _trimmed(workload: Workload, split: str, examples: int) -> Iterator[Batch]:
    """Texts by length, without the columns that only fill up: outputs are the same, and sooner there."""
    (ids, mask), labels = next(iter(workload.batches(split, examples, limit=examples)))
    order = mask.sum(1).argsort(stable=True)
    for rows in torch.split(order, 32):
        longest = int(mask[rows].sum(1).max())
        yield (ids[rows, :longest], mask[rows, :longest]), labels[rows]


TASKS: Final = {
    "digits-cnn": Task(_digits, 300, 300),
    "fashion-resnet": Task(_fashion, 128, 5_000),
    "minilm-sentiment": Task(
        _sentiment,
        128,
        1_060,
        # the width of the residual stream is one group of every layer: pruned anywhere, all is lost
        {"*.attention.output.dense": LayerRule(ratios=(0.0,))},
        _trimmed,
    ),
}
