"""What the workloads on Fashion-MNIST share: data, loss, metric, training and the cache of its result."""

from __future__ import annotations

import itertools
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from evaluators.cache import cached, code_digest
from evaluators.workloads import fashion_mnist, residual_block, training
from evaluators.workloads.fashion_mnist import FashionMnist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from compression import Batch

BATCH_SIZE = 128


class FashionClassifier(ABC):
    """A network on Fashion-MNIST; subclasses name it and build it.

    Args:
        seed: of the splits, the initialisation and the training.

    Attributes:
        epochs: of the reference's training.
        weight_decay: of the reference's training.
    """

    name: str
    task = "image-classification"
    epochs: ClassVar[int]
    weight_decay: ClassVar[float]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._data = FashionMnist(seed)

    @abstractmethod
    def network(self) -> nn.Module:
        """The untrained network: ``n x 1 x 28 x 28`` in [0, 1] to ``n x 10`` logits."""

    def model(self) -> nn.Module:
        """The trained reference, from the cache if code, data and versions are the same.

        Its weights lie channels last, where PyTorch trains 1.2 (residual) to 3.7 (depthwise) times as fast.

        Raises:
            WorkloadError: the data is missing.
        """
        shared = (__file__, fashion_mnist.__file__, training.__file__, residual_block.__file__)
        key = {
            "code": code_digest(str(sys.modules[type(self).__module__].__file__), *shared),
            "data": self._data.digest,
            "seed": self.seed,
            "torch": torch.__version__,
        }
        path = cached(f"{self.name}.safetensors", key, self._train)
        model = self.network()
        model.load_state_dict(load_file(path))
        return model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]

    def example_inputs(self) -> tuple[Tensor, ...]:
        """One image, ``1 x 1 x 28 x 28``."""
        return next(self.batches("calibration", 1))[0]

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Batches of a split; train is shuffled, and each of its images shifted and mirrored, by `seed`.

        Raises:
            UnknownName: there is no such split.
            WorkloadError: the data is missing.
        """
        return self._data.batches(split, batch_size, limit=limit, seed=seed)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, a little smoothed."""
        return F.cross_entropy(outputs, targets, label_smoothing=0.05)

    def metric(self, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        """Share of images whose largest logit is the right one."""
        return float((outputs.argmax(axis=1) == targets).mean())

    def _train(self, path: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            optimizer = torch.optim.SGD(
                model.parameters(), 0.1, momentum=0.9, weight_decay=self.weight_decay, nesterov=True
            )
            steps = self.epochs * -(-self._data.size("train") // BATCH_SIZE)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
            epochs = (
                self.batches("train", BATCH_SIZE, seed=self.seed + epoch) for epoch in range(self.epochs)
            )
            batches = itertools.chain.from_iterable(epochs)
            training.fit(model, batches, self.loss, optimizer, schedule, training.Progress(self.name, steps))
        # the format stores rows one after another, so channels last must go
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
