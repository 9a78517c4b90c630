"""Small convolutional networks: a plain one for images, and two for clips, of two and three dimensions."""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

from benchmarks.claims.digit_task import DIRECTIONS, FRAMES

CLASSES: Final = 10 * len(DIRECTIONS)


def plain_cnn(width: int) -> nn.Sequential:
    """Three 3x3 convolutions without shortcuts, ``n x 1 x 8 x 8`` to ``n x 10``."""
    return nn.Sequential(
        *(nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
        *(nn.Conv2d(width, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
        *(nn.Conv2d(width, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)),
    )


class ClipCnn(nn.Module):
    """Convolutions over time and both sides (Tran et al. 2015): ``n x 1 x 4 x 8 x 8`` to ``n x 40``."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv3d(1, width, 3, 1, 1, bias=False), nn.BatchNorm3d(width), nn.ReLU()),
            *(nn.Conv3d(width, width, 3, (1, 2, 2), 1, bias=False), nn.BatchNorm3d(width), nn.ReLU()),
            *(nn.Conv3d(width, 2 * width, 3, 2, 1, bias=False), nn.BatchNorm3d(2 * width), nn.ReLU()),
        )
        self.head = nn.Linear(2 * width * 2 * 2 * 2, CLASSES)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.body(clips).flatten(1))  # type: ignore[no-any-return]


class FrameCnn(nn.Module):
    """Frames as channels of two dimensions: ``n x 1 x 4 x 8 x 8`` to ``n x 40``."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(FRAMES, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
            *(nn.Conv2d(width, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()),
        )
        self.head = nn.Linear(width * 2 * 2, CLASSES)

    def forward(self, clips: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.body(clips.squeeze(1)).flatten(1))  # type: ignore[no-any-return]
