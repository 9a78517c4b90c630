"""A small network with the data it is trained on; the trained reference is cached by digest."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from compression.distillation import distilling
from compression.training import Plan, fit
from evaluators.cache import cached, code_digest
from evaluators.workloads.digits_cnn import DigitsCnn
from evaluators.workloads.fashion_mnist import FashionMnist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from compression import Batch

LIMITS: Final = {"train": 8000, "calibration": 500, "validation": 2000, "test": 10_000}
"""Images of Fashion-MNIST that each split has here."""


class Data(Protocol):
    """Labelled images in splits."""

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """As `compression.workload.Workload.batches`."""
        ...


class FashionSubset:
    """Fashion-MNIST, of which an epoch sees 8,000 train images, drawn anew by its seed."""

    def __init__(self) -> None:
        self._data = FashionMnist()

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Batches ``((n x 1 x 28 x 28 in [0, 1],), n)``.

        Raises:
            UnknownName: there is no such split.
            WorkloadError: the data is missing.
        """
        most = LIMITS.get(split)
        limit = most if limit is None else min(limit, limit if most is None else most)
        return self._data.batches(split, batch_size, limit=limit, seed=seed)


@dataclass
class SmallWorkload:
    """The workload of a small network.

    Attributes:
        name: of the network and the data.
        network: the class of the untrained network.
        data: to train and score with.
        plan: of the reference's training; its seed is of the initialisation too.
    """

    name: str
    network: type[nn.Module]
    data: Data
    plan: Plan
    task: str = "image-classification"

    def seeded(self, seed: int) -> SmallWorkload:
        """The same with another initialisation and order of training."""
        return replace(self, plan=replace(self.plan, seed=seed))

    def model(self) -> nn.Module:
        """The trained reference, from the cache if code, data and versions are the same.

        Raises:
            WorkloadError: the data is missing.
        """
        plan = self.plan
        key = {
            "code": code_digest(__file__, str(sys.modules[self.network.__module__].__file__)),
            "name": self.name,
            "plan": [plan.epochs, plan.optimizer, plan.peak, plan.seed, plan.batch_size],
            "torch": torch.__version__,
        }
        model = self.network()
        model.load_state_dict(load_file(cached(f"{self.name}.safetensors", key, self._train)))
        return model.eval()

    def example_inputs(self) -> tuple[Tensor, ...]:
        """One image."""
        return next(iter(self.data.batches("calibration", 1)))[0]

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """The data's."""
        return self.data.batches(split, batch_size, limit=limit, seed=seed)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, a little smoothed."""
        return F.cross_entropy(outputs, targets, label_smoothing=0.05)

    def metric(self, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        """Share of images whose largest logit is the right one."""
        return float((outputs.argmax(axis=1) == targets).mean())

    def _train(self, path: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            model = self.network()
        fit(model, self, distilling(self, None, model, model), self.plan)
        save_file(model.state_dict(), path)


def on_fashion(name: str, network: type[nn.Module], epochs: float) -> SmallWorkload:
    """A convolutional network trained on the subset of Fashion-MNIST."""
    return SmallWorkload(name, network, FashionSubset(), Plan(epochs, "sgd", 0.1))


def on_digits(name: str, network: type[nn.Module], epochs: float) -> SmallWorkload:
    """A transformer trained on scikit-learn's digits."""
    return SmallWorkload(name, network, DigitsCnn(), Plan(epochs, "adamw", 2e-3))
