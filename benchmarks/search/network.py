"""A trained network that is pruned and rounded as policies say, many times, and what it then costs."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from compression import evaluating, list_layers, main_output, take_inventory
from compression.pruned_copies import PrunedCopies
from evaluators.modelled.graph_costs import KernelCost
from evaluators.modelled.roofline import Roofline
from evaluators.rounding import matrices, round_weight
from evaluators.targets import find_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from benchmarks.search.tasks import Task
    from spaces import Policy

KEPT_WEIGHTS: Final = 400
"""Rounded weights that are kept in memory, as neighbouring policies share most of them."""

TESTED: Final = 4
"""So many more examples of the test split are read: fronts alone are evaluated there."""

FLOAT: Final = 32


class TrainedNetwork:
    """The network of a task.

    Args:
        task: whose workload is loaded.
        multiple: channels that remain are rounded up to it.
    """

    def __init__(self, task: Task, multiple: int) -> None:
        torch.set_num_threads(1)
        self._task, self.workload = task, task.make()
        self.model = self.workload.model().eval()
        inputs = self.workload.example_inputs()
        self.inventory = take_inventory(self.model, inputs)
        self.layers = list_layers(self.model, inputs)
        self._multiple = multiple
        self._copies: PrunedCopies | None = None
        self._batches: dict[str, list[Any]] = {}
        self._rounded: OrderedDict[tuple[Any, ...], Tensor] = OrderedDict()
        self._roofline = Roofline(find_target("x86-vnni"))

    def accuracy(self, policy: Policy | None, split: str = "validation") -> tuple[float, tuple[float, float]]:
        """Of some examples of a split; and weights in bytes with milliseconds of a call, as modelled.

        Args:
            policy: ratios and bits; ``None`` is the network as it is.
            split: ``validation`` or ``test``.
        """
        model = self.model if policy is None else self._compressed(policy)
        outputs, targets = [], []
        with evaluating(model):
            for inputs, labels in self._examples(split):
                outputs.append(main_output(model(*inputs)).numpy())
                targets.append(labels.numpy())
        score = self.workload.metric(np.concatenate(outputs), np.concatenate(targets))
        return score, self._costs(model, policy)

    def _compressed(self, policy: Policy) -> nn.Module:
        if self._copies is None:
            groups = [group for group in self.inventory.groups if group.fixed_because is None]
            places = [group.leader for group in groups]
            self._copies = PrunedCopies(self.model, self.workload, places, multiple=self._multiple)
        ratios = {name: layer.prune.ratio for name, layer in policy.layers.items() if layer.prune}
        model = self._copies.at(ratios)
        for name, layer in policy.layers.items():
            if layer.weight is not None:
                for index, weight in enumerate(matrices(model.get_submodule(name))):
                    weight.data = self._round(name, index, weight.data, layer.weight.bits)
        return model

    def _round(self, name: str, index: int, weight: Tensor, bits: int) -> Tensor:
        """A shape tells which units are gone, since their order is decided once."""
        key = (name, index, bits, tuple(weight.shape))
        if key not in self._rounded:
            self._rounded[key] = round_weight(weight, bits)
            if len(self._rounded) > KEPT_WEIGHTS:
                self._rounded.popitem(last=False)
        self._rounded.move_to_end(key)
        return self._rounded[key]

    def _examples(self, split: str) -> list[Any]:
        if split not in self._batches:
            task, count = self._task, self._task.examples * (TESTED if split == "test" else 1)
            if task.batches is not None:
                self._batches[split] = list(task.batches(self.workload, split, count))
            else:
                self._batches[split] = list(self.workload.batches(split, 128, limit=count))
        return self._batches[split]

    def _costs(self, model: nn.Module, policy: Policy | None) -> tuple[float, float]:
        size, kernels = 0.0, []
        entries: Mapping[str, Any] = {} if policy is None else policy.layers
        for layer in self.layers:
            chosen = entries.get(layer.name)
            bits = FLOAT if chosen is None or chosen.weight is None else chosen.weight.bits
            weights = matrices(model.get_submodule(layer.name))
            count = sum(weight.numel() for weight in weights)
            calls = layer.macs / max(layer.parameters, 1)  # positions that every weight is used at
            shape = weights[0].shape
            is_table = layer.op == "embedding"
            kernels.append(
                KernelCost(
                    layer.name,
                    layer.op,
                    bits,
                    FLOAT,
                    calls * count,
                    (0, 0) if is_table else (shape[0], shape[1]),
                    0.0 if is_table else count * bits / 8,
                    0.0 if is_table else calls * shape[0] * 4,
                )
            )
        size = sum(
            sum(weight.numel() for weight in matrices(model.get_submodule(kernel.name)))
            * kernel.weight_bits
            / 8
            for kernel in kernels
        )
        return size, self._roofline.latency_ms(kernels)
