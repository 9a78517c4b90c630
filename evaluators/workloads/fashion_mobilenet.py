"""``fashion-mobilenet``: a small MobileNetV2 on Fashion-MNIST, for targets where depthwise layers count."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from evaluators.workloads.fashion_classifier import FashionClassifier

STAGES: Final = ((2, 24, 1, 1), (4, 32, 2, 2), (4, 64, 3, 2), (4, 96, 3, 1))
"""Expansion, output channels, blocks and first stride of each stage (Sandler et al. 2018, table 2)."""

STEM: Final = 32
FEATURES: Final = 384


def convolution(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, with BatchNorm and ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; added to the input where shapes allow (the same, fig. 4)."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = convolution(inputs, hidden, 1)
        self.depthwise = convolution(hidden, hidden, 3, stride, groups=hidden)
        self.project = nn.Sequential(nn.Conv2d(hidden, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.is_added = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``n x inputs x h x w`` to ``n x outputs x h/stride x w/stride``."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.is_added else y


class MobileNet(nn.Module):
    """Nine inverted residuals between a 3x3 stem and a pointwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = convolution(1, STEM, 3)
        self.blocks = nn.Sequential()
        inputs = STEM
        for expansion, outputs, count, first_stride in STAGES:
            for index in range(count):
                stride = first_stride if index == 0 else 1
                self.blocks.append(InvertedResidual(inputs, outputs, stride, expansion))
                inputs = outputs
        self.last = convolution(inputs, FEATURES, 1)
        self.head = nn.Linear(FEATURES, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``n x 1 x 28 x 28`` in [0, 1] to ``n x 10`` logits."""
        features: Tensor = self.last(self.blocks(self.stem(x)))
        return self.head(features.mean((2, 3)))  # type: ignore[no-any-return]


class FashionMobileNet(FashionClassifier):
    """The workload: 0.35 million parameters."""

    name = "fashion-mobilenet"
    epochs = 5
    weight_decay = 1e-4

    def network(self) -> nn.Module:
        """A `MobileNet`."""
        return MobileNet()
