"""``fashion-resnet``: a ResNet-18 of half width on Fashion-MNIST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from evaluators.workloads import training
from evaluators.workloads.fashion_classifier import BATCH_SIZE, FashionClassifier
from evaluators.workloads.residual_block import Block

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from compression import Batch

SIDES: Final = (20,) * 4 + (28,) * 8
"""Height and width of the images in each epoch of the reference's training: the first cost half as much, and
what is learned on them carries over (progressive resizing, Howard 2018; Touvron et al. 2019)."""

PEAK: Final = 0.1
"""Of the one-cycle schedule of the learning rate."""


class ResNet(nn.Module):
    """Four stages of two residual blocks behind a 3x3 stem, as ResNet-18 (He et al. 2015) on small images.

    Args:
        widths: channels of the stages; each but the first halves height and width.
    """

    def __init__(self, widths: Sequence[int] = (32, 64, 128, 256)) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        self.stages = nn.Sequential()
        inputs = widths[0]
        for stage, outputs in enumerate(widths):
            stride = 1 if stage == 0 else 2
            self.stages.append(nn.Sequential(Block(inputs, outputs, stride), Block(outputs, outputs, 1)))
            inputs = outputs
        self.head = nn.Linear(inputs, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``n x 1 x 28 x 28`` in [0, 1] to ``n x 10`` logits."""
        features: Tensor = self.stages(self.stem(x))
        return self.head(features.mean((2, 3)))  # type: ignore[no-any-return]


class FashionResNet(FashionClassifier):
    """The workload: 2.8 million parameters."""

    name = "fashion-resnet"
    epochs = len(SIDES)
    weight_decay = 5e-4

    def network(self) -> nn.Module:
        """A `ResNet`."""
        return ResNet()

    def _train(self, path: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = self.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            per_epoch = -(-self._data.size("train") // BATCH_SIZE)
            optimizer, schedule = training_of(model, self.weight_decay, per_epoch)
            steps = self.epochs * per_epoch
            progress = training.Progress(self.name, steps)
            batches = (batch for epoch in range(self.epochs) for batch in self.resized(epoch))
            training.fit(Halved(model), batches, self.loss, optimizer, schedule, progress)
        save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)

    def resized(self, epoch: int) -> Iterator[Batch]:
        """The train batches of an epoch of the reference's training, in the size that `SIDES` says."""
        side = SIDES[epoch]
        for (images,), labels in self.batches("train", BATCH_SIZE, seed=self.seed + epoch):
            is_whole = images.shape[-1] == side
            small = (
                images if is_whole else F.interpolate(images, (side, side), mode="bilinear", antialias=True)
            )
            yield (small,), labels


class Halved(nn.Module):
    """Trains a model with products in bfloat16, where the CPU multiplies in it: in half the time.

    Weights, their gradients, and the outputs stay in float32.

    Args:
        model: whose weights are trained.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.is_on = multiplies_bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        """The model's outputs, in float32."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.is_on):
            outputs: Tensor = self.model(x)
        return outputs.float()


def multiplies_bfloat16() -> bool:
    """This CPU has instructions for products in bfloat16; elsewhere torch would emulate them, slowly."""
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def training_of(
    model: nn.Module, weight_decay: float, per_epoch: int
) -> tuple[torch.optim.SGD, torch.optim.lr_scheduler.OneCycleLR]:
    """Optimizer and schedule of the reference's training, for so many steps an epoch."""
    optimizer = torch.optim.SGD(
        model.parameters(), PEAK, momentum=0.9, weight_decay=weight_decay, nesterov=True
    )
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=len(SIDES) * per_epoch)
