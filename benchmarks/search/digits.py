"""The digits CNN, pruned and its weights rounded for real, layer by layer, without retraining.

Every point is evaluated once on the validation split and kept in a table under the cache directory, named by
the trained weights, so that methods and seeds share what they ask for. Sizes are bits times weights that are
left, operations are counted on the pruned network; both are exact.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.search.synthetic import Exact
from search.profile import Profile, StudentProfile
from search.samplers.guided import Branch, Problem
from search.samplers.guided.problem import guessed_losses

if TYPE_CHECKING:
    from pathlib import Path

    from evaluators.evaluator import Evaluator
    from search.sweep import Floats, Ints

RATIOS: Final = (0.0, 0.125, 0.25, 0.375, 0.5, 0.75)
BITS: Final = (8, 6, 4, 3, 2)
CHARGE: Final = 5


class Digits:
    """The network's layers and groups as axes.

    Args:
        scratch: a directory for the reference's file.
    """

    charge = CHARGE

    def __init__(self, scratch: Path) -> None:
        import torch

        from evaluators.cache import cache_root
        from evaluators.evaluator import Evaluator
        from evaluators.reference import workload_digests
        from evaluators.targets import find_target
        from evaluators.workloads.digits_cnn import DigitsCnn

        torch.set_num_threads(1)
        self.name = "digits-cnn"
        self._evaluator: Evaluator = Evaluator(DigitsCnn(), find_target("local-cpu"), scratch)
        self._model = self._evaluator.reference.model
        digests = workload_digests(self._evaluator.workload, self._model)
        inventory = self._evaluator.inventory(None)
        self._groups = [group.leader for group in inventory.groups if group.fixed_because is None]
        self._layers = [layer.name for layer in inventory.layers]
        self.axes = {f"prune:{name}": len(RATIOS) for name in self._groups}
        self.axes |= {f"bits:{name}": len(BITS) for name in self._layers}
        path = cache_root() / digests["model"].removeprefix("sha256:")[:16]
        path.mkdir(parents=True, exist_ok=True)
        self._path = path / "search-digits.jsonl"
        self._table: dict[tuple[int, ...], tuple[float, ...]] = {}
        if self._path.exists():
            for line in self._path.read_text().splitlines():
                point, values = json.loads(line)
                self._table[tuple(point)] = tuple(values)
        self._measured = self._measure()
        self.charge = int(np.ceil(self._measured.passes * 128 / 300))
        counts = len(self._groups), len(self._layers)
        levels = [(0, 0), (0, 2), (2, 0), (0, 4), (2, 2), (4, 0), (4, 2), (5, 1)]
        self.anchors = [(ratio,) * counts[0] + (bits,) * counts[1] for ratio, bits in levels]

    def close(self) -> None:
        """Ends the evaluator."""
        self._evaluator.close()

    def evaluate(self, point: tuple[int, ...]) -> tuple[float, ...]:
        """Accuracy, size and multiply-accumulates, relative to the reference in 32 bits."""
        if point not in self._table:
            self._table[point] = self._evaluated(point)
            with self._path.open("a") as lines:
                lines.write(json.dumps([point, self._table[point]]) + "\n")
        return self._table[point]

    def problem(self, profile: str) -> Problem:
        """The axes with a profile: ``good`` is the small profile as it was measured."""
        measured = self._measured
        count = len(self._groups)
        rows = [*measured.ratios.values(), *measured.bits.values()]
        if profile == "shuffled":
            order = np.random.default_rng(23)
            rows = [rows[at] for at in order.permutation(count)] + [
                rows[count + at] for at in order.permutation(len(self._layers))
            ]
        losses: tuple[Floats, ...] = tuple(guessed_losses(size) for size in self.axes.values())
        if profile != "none":
            from search.profile import LEAST_SHARE, monotone

            largest = max(max(row) for row in rows)
            losses = tuple(monotone(row, LEAST_SHARE * largest) for row in rows)
        base = measured.base_loss if profile != "none" else 1.0
        branch = Branch(tuple(self.axes), losses, Exact(self._costs), base, self._together())
        return Problem((branch,), is_profiled=profile != "none", scales=(1.0, 1.0), best=1.0)

    def _together(self) -> tuple[tuple[int, ...], ...]:
        count = len(self._groups)
        return tuple((at, count + self._layers.index(name)) for at, name in enumerate(self._groups))

    def _measure(self) -> StudentProfile:
        """The small profile, by the measurement that jobs use."""
        from evaluators.sensitivity import Offer, measure_profile

        offer = Offer(
            None,
            dict.fromkeys(self._groups, ("channel", RATIOS)),
            {name: tuple((bits, 32) for bits in BITS) for name in self._layers},
        )
        found = measure_profile(self._evaluator, [offer], "small", lambda share: None)
        document = {"schema": "tauten.profile/1", "key": "digits", "kind": "small", **found}
        return Profile.from_dict(document).students[0]

    def _costs(self, points: Ints) -> Floats:
        """Exact for a chain of layers; the shares that ratios leave were read off pruned networks."""
        measured, count = self._measured, len(self._groups)
        macs = np.tile([float(layer.macs) for layer in measured.layers], (len(points), 1))
        weights = np.tile([float(layer.parameters) for layer in measured.layers], (len(points), 1))
        rows = {layer.name: row for row, layer in enumerate(measured.layers)}
        total = macs[0].sum(), weights[0].sum()
        for axis, name in enumerate(self._groups):
            shares = np.ones((2, len(RATIOS), len(rows)))
            for choice, changed in enumerate(measured.left[name]):
                for layer, left in changed.items():
                    shares[:, choice, rows[layer]] = left
            macs *= shares[0][points[:, axis]]
            weights *= shares[1][points[:, axis]]
        bits = np.array(BITS)[points[:, count:]]
        return np.column_stack([(weights * bits / 32).sum(axis=1) / total[1], macs.sum(axis=1) / total[0]])

    def _evaluated(self, point: tuple[int, ...]) -> tuple[float, ...]:
        from compression import evaluating, list_layers, main_output, shape
        from evaluators.sensitivity import round_layers
        from spaces import LayerPolicy, Policy, Prune

        workload, count = self._evaluator.workload, len(self._groups)
        layers = {
            name: LayerPolicy(prune=Prune(RATIOS[choice]))
            for name, choice in zip(self._groups, point[:count], strict=True)
            if choice
        }
        deployment = self._evaluator.deployment
        model = shape(workload, self._model, Policy(None, layers), deployment=deployment, seed=0).model
        bits = {name: BITS[choice] for name, choice in zip(self._layers, point[count:], strict=True)}
        shapes = {layer.name: layer for layer in list_layers(model, workload.example_inputs())}
        model = round_layers(model, bits)
        outputs: list[Any] = []
        targets: list[Any] = []
        with evaluating(model):
            for inputs, labels in workload.batches("validation", 300):
                outputs.append(main_output(model(*inputs)).numpy())
                targets.append(labels.numpy())
        reference = self._evaluator.reference.metrics
        accuracy = workload.metric(np.concatenate(outputs), np.concatenate(targets))
        before = self._measured.layers
        size = sum(shapes[name].parameters * bits[name] / 32 for name in bits)
        return (
            accuracy / reference["accuracy"].value,
            size / sum(layer.parameters for layer in before),
            sum(layer.macs for layer in shapes.values()) / sum(layer.macs for layer in before),
        )
