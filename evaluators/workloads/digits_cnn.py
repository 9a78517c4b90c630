"""``digits-cnn``: a residual CNN on scikit-learn's 8x8 digits. Needs no download and trains in seconds."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sklearn
import torch
from safetensors.torch import load_file, save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from evaluators.cache import cached, code_digest
from evaluators.threads import thread_count
from evaluators.workloads import residual_block
from evaluators.workloads.residual_block import Block
from spaces import UnknownName, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

EPOCHS: Final = 16
BATCH_SIZE: Final = 64
SIZES: Final = {"test": 540, "validation": 300, "calibration": 90}
"""Examples of each split; the remaining 867 of 1,797 are the train split."""


class DigitsNet(nn.Module):
    """Eleven weight layers, 0.46 million parameters, 14 million multiply-accumulates an image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.stage1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.stage2 = nn.Sequential(Block(64, 96, 2), Block(96, 96, 1))
        self.head = nn.Linear(96, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``n x 1 x 8 x 8`` in [0, 1] to ``n x 10`` logits."""
        features: Tensor = self.stage2(self.stage1(self.stem(x)))
        return self.head(features.mean((2, 3)))  # type: ignore[no-any-return]


class DigitsCnn:
    """The workload.

    Args:
        seed: of the splits, the initialisation and the training.
    """

    name = "digits-cnn"
    task = "image-classification"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def model(self) -> nn.Module:
        """The trained reference, from the cache if code, data and versions are the same."""
        key = {
            "code": code_digest(__file__, residual_block.__file__),
            "data": digest_bytes(load_digits().data.tobytes()),
            "seed": self.seed,
            "torch": torch.__version__,
            "sklearn": sklearn.__version__,
        }
        path = cached("digits-cnn.safetensors", key, self._train)
        model = DigitsNet()
        model.load_state_dict(load_file(path))
        return model.eval()

    def example_inputs(self) -> tuple[Tensor, ...]:
        """One image, ``1 x 1 x 8 x 8``."""
        return (self._splits["calibration"][0][:1],)

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """Batches of a split; train is shuffled, and each of its batches is shifted by up to one pixel.

        Raises:
            UnknownName: there is no such split.
        """
        if split not in self._splits:
            raise UnknownName("split", split, tuple(self._splits))
        images, labels = self._splits[split]
        if split != "train":
            images, labels = images[:limit], labels[:limit]
            for start in range(0, len(images), batch_size):
                yield (images[start : start + batch_size],), labels[start : start + batch_size]
            return
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(images), generator=generator)[:limit]
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            down, right = torch.randint(-1, 2, (2,), generator=generator).tolist()
            yield (torch.roll(images[chosen], (down, right), (2, 3)),), labels[chosen]

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, a little smoothed."""
        return F.cross_entropy(outputs, targets, label_smoothing=0.05)

    def metric(self, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        """Share of images whose largest logit is the right one."""
        return float((outputs.argmax(axis=1) == targets).mean())

    @cached_property
    def _splits(self) -> dict[str, tuple[Tensor, Tensor]]:
        data = load_digits()
        images = (data.data / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
        rest, labels = np.arange(len(images)), data.target
        indices = {}
        for split, size in SIZES.items():
            rest, indices[split] = train_test_split(
                rest, test_size=size, stratify=labels[rest], random_state=self.seed
            )
        indices["train"] = np.sort(rest)
        return {
            split: (torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen].astype(np.int64)))
            for split, chosen in indices.items()
        }

    def _train(self, path: Path) -> None:
        with torch.random.fork_rng(devices=[]), thread_count(1):  # its number shapes the weights
            torch.manual_seed(self.seed)
            model = DigitsNet().train()
            steps = EPOCHS * -(-len(self._splits["train"][0]) // BATCH_SIZE)
            optimizer = torch.optim.SGD(
                model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
            )
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
            for epoch in range(EPOCHS):
                for inputs, targets in self.batches("train", BATCH_SIZE, seed=self.seed + epoch):
                    optimizer.zero_grad()
                    self.loss(model(*inputs), targets).backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    schedule.step()
        save_file(model.eval().state_dict(), path)
