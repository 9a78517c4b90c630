"""How the loss of a model reacts to each choice that a search offers: forward passes, no training, no export.

Weights are rounded in place of being deployed; pruning is done for real, which also tells what each choice
leaves of each layer. Where nothing is compressed a network hides its weak spots, so layers are tried one by
one at an operating point at which all the others are compressed too.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

import torch

from compression import evaluating, list_layers, main_output
from compression.tracing import QUANTIZABLE_LAYERS
from evaluators.fisher import fisher_losses
from evaluators.rounding import matrices, round_layers, round_weight
from evaluators.shaping import Shaper
from spaces import WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import nn

    from evaluators.evaluator import Evaluator
    from evaluators.offer import Offer
    from spaces import LayerInfo

EXAMPLES: Final = {"small": 128, "full": 512, "fisher": 128}
BATCH_SIZE: Final = 64
OPERATING_POINTS: Final = ((3, 0.25), (4, 0.25), (4, 0.0), (8, 0.0))
"""Bits and ratio of all layers, from severe to mild; the first at which the network still works is taken."""

OVERFLOW: Final = 10.0
"""A loss that is not finite counts as so many times that of a network that says nothing."""

PROBE_BITS: Final = 2
FLOAT: Final = 32
PRUNING_SHARE: Final = 0.8
"""Of the time that a profile takes: pruned networks are made, rounded ones only changed."""


class Sensitivity:
    """Measures one student.

    Args:
        evaluator: with the reference.
        offer: what is to be measured.
        kind: ``small``, ``full`` or ``fisher``.
    """

    def __init__(self, evaluator: Evaluator, offer: Offer, kind: str) -> None:
        self._evaluator, self._offer, self._kind = evaluator, offer, kind
        workload, count = evaluator.workload, EXAMPLES[kind]
        self._batches = list(workload.batches("train", BATCH_SIZE, limit=count, seed=evaluator.seed))
        if not self._batches:
            raise WorkloadError(
                f"workload {workload.name!r}: the train split is empty, so there is no profile"
            )
        self.passes = 0
        self._shaper = Shaper(evaluator, offer)
        self._blank = self._blank_loss()

    def measure(self, report: Callable[[float], None] = lambda share: None) -> dict[str, Any]:
        """The losses and what is left of the layers, choice by choice.

        Returns:
            ``base_loss``; ``operating_point``; ``ratios`` and ``bits``: for each place
            the change of the loss of each choice, from mild to severe, as measured; ``left``: for each place
            of a ratio and each choice the shares of multiply-accumulates and weights that are left of each
            layer that it changes; ``layers``: of the student, not pruned; ``passes``: over the examples.
        """
        original = self._shaper.whole
        layers = self._layers(original)
        base = self._loss(original)
        bits, ratio = self._operating_point(base)
        steps, done = sum(len(choices) for _, choices in self._offer.ratios.values()), 0
        around = self._model(ratio)
        rounded = round_layers(around, dict.fromkeys(self._offer.bits, bits))
        unchanged = self._loss(rounded), {layer.name: layer for layer in self._layers(around)}
        ratios: dict[str, list[float]] = {}
        left: dict[str, list[dict[str, list[float]]]] = {}
        for name, (_, choices) in self._offer.ratios.items():
            found = []
            for choice in choices:
                is_unchanged = choice == _nearest(choices, ratio)
                found.append(unchanged if is_unchanged else self._pruned(name, choice, bits, ratio))
                done += 1
                report(PRUNING_SHARE * done / steps)
            ratios[name] = [loss - found[0][0] for loss, _ in found]
            left[name] = [_left(found[0][1], shapes) for _, shapes in found]
        by_bits = dict(self._bit_losses(original, around, bits))
        report(1.0)
        return {
            "base_loss": base,
            "operating_point": {"bits": bits, "ratio": ratio},
            "ratios": ratios,
            "bits": by_bits,
            "left": left,
            "layers": [layer.to_dict() for layer in layers],
            "passes": self.passes,
        }

    def _pruned(
        self, name: str, choice: float, bits: int, ratio: float
    ) -> tuple[float, dict[str, LayerInfo]]:
        """The loss and the layers with one ratio unlike the others."""
        model = self._model(ratio, {name: choice})
        loss = self._loss(round_layers(model, dict.fromkeys(self._offer.bits, bits)))
        return loss, {layer.name: layer for layer in self._layers(model)}

    def _bit_losses(
        self, original: nn.Module, around: nn.Module, bits: int
    ) -> Iterator[tuple[str, list[float]]]:
        if self._kind == "fisher":
            widths = {name: [weight for weight, _ in choices] for name, choices in self._offer.bits.items()}
            evaluator, self.passes = self._evaluator, self.passes + 2
            yield from fisher_losses(
                evaluator.workload, original, widths, examples=EXAMPLES["fisher"], seed=evaluator.seed
            )
            return
        rounded = round_layers(around, dict.fromkeys(self._offer.bits, bits))
        before = self._loss(rounded)
        for name, choices in self._offer.bits.items():
            if self._kind == "small":
                severe = self._with_layer(rounded, around, name, PROBE_BITS) - before
                steepness = max(severe, 0.0) / (_step(PROBE_BITS) - _step(bits))
                yield name, [steepness * (_step(w) + _step(a)) for w, a in choices]
            else:
                known = {w: self._with_layer(rounded, around, name, w) for w in {w for w, _ in choices}}
                mildest = known[max(known)]
                yield name, [known[w] - mildest for w, _ in choices]

    def _operating_point(self, base: float) -> tuple[int, float]:
        """The most severe of `OPERATING_POINTS` that is nearer to the base loss than to saying nothing."""
        limit = (base + max(self._blank, base)) / 2
        for bits, ratio in OPERATING_POINTS[:-1]:
            model = round_layers(self._model(ratio), dict.fromkeys(self._offer.bits, bits))
            if self._loss(model) <= limit:
                return bits, ratio
        return OPERATING_POINTS[-1]

    def _blank_loss(self) -> float:
        """The loss of a network that answers 0 to everything."""
        workload = self._evaluator.workload
        model = self._evaluator.reference.model
        inputs, targets = self._batches[0]
        with evaluating(model):
            return float(workload.loss(torch.zeros_like(main_output(model(*inputs))), targets))

    def _model(self, ratio: float, instead: Mapping[str, float] | None = None) -> nn.Module:
        """The student with all ratios nearest to one, but for some."""
        chosen = {name: _nearest(choices, ratio) for name, (_, choices) in self._offer.ratios.items()}
        return self._shaper.at({**chosen, **(instead or {})})

    def _layers(self, model: nn.Module) -> tuple[LayerInfo, ...]:
        return list_layers(model, self._evaluator.workload.example_inputs())

    def _with_layer(self, rounded: nn.Module, exact: nn.Module, name: str, bits: int) -> float:
        """The loss with one layer at other bits; the rounded model is as it was afterwards."""
        try:
            target, source = rounded.get_submodule(name), exact.get_submodule(name)
        except AttributeError:  # its block was pruned at the operating point
            return self._loss(rounded)
        if not isinstance(target, QUANTIZABLE_LAYERS):
            return self._loss(rounded)
        pairs = list(zip(matrices(target), matrices(source), strict=True))
        kept = [weight.data.clone() for weight, _ in pairs]
        for weight, original in pairs:
            weight.data.copy_(round_weight(original.data, bits))
        loss = self._loss(rounded)
        for (weight, _), values in zip(pairs, kept, strict=True):
            weight.data.copy_(values)
        return loss

    def _loss(self, model: nn.Module) -> float:
        workload, total, count = self._evaluator.workload, 0.0, 0
        with evaluating(model):
            for inputs, targets in self._batches:
                loss = float(workload.loss(main_output(model(*inputs)), targets))
                total, count = total + loss * len(targets), count + len(targets)
        self.passes += 1
        return total / count if math.isfinite(total) else OVERFLOW * abs(self._blank)


def measure_profile(
    evaluator: Evaluator, offers: Sequence[Offer], kind: str, report: Callable[[float], None]
) -> dict[str, Any]:
    """The sensitivities of several students, and the seconds that it took; see `Sensitivity.measure`."""
    started = time.monotonic()
    students = []
    for index, offer in enumerate(offers):
        measured = Sensitivity(evaluator, offer, kind).measure(
            lambda share, index=index: report((index + share) / len(offers))  # type: ignore[misc]
        )
        students.append({"student": offer.student and offer.student.to_dict(), **measured})
    return {"students": students, "seconds": time.monotonic() - started}


def _nearest(choices: Sequence[float], ratio: float) -> float:
    return min(choices, key=lambda choice: abs(choice - ratio))


def _step(bits: int) -> float:
    """The squared step of a grid, which the loss is proportional to; nothing in floating point."""
    return float(4.0**-bits) if bits < FLOAT else 0.0


def _left(before: Mapping[str, LayerInfo], after: Mapping[str, LayerInfo]) -> dict[str, list[float]]:
    """Shares of multiply-accumulates and weights that are left, of layers that lose any."""
    found = {}
    for name, layer in before.items():
        now = after.get(name)
        shares = [0.0, 0.0]
        if now is not None:
            macs = now.macs / layer.macs if layer.macs else 1.0
            shares = [macs, now.parameters / layer.parameters if layer.parameters else 1.0]
        if shares != [1.0, 1.0]:
            found[name] = shares
    return found
