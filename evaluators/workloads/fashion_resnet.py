"""``fashion-resnet``: a ResNet-18 of half width on Fashion-MNIST."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from evaluators.workloads.fashion_classifier import FashionClassifier
from evaluators.workloads.residual_block import Block

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    epochs = 5
    weight_decay = 5e-4

    def network(self) -> nn.Module:
        """A `ResNet`."""
        return ResNet()
