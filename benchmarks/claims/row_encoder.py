"""A small transformer encoder that reads an image row by row."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

WIDTH: Final = 64
HEADS: Final = 8
BLOCKS: Final = 3


class SelfAttention(nn.Module):
    """Attention of several heads (Vaswani et al. 2017, 3.2.2), each projection a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.head_dim = HEADS, WIDTH // HEADS
        self.query, self.key = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.value, self.output = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """``n x tokens x width`` to the same."""
        parts = (
            layer(x).unflatten(2, (self.num_heads, self.head_dim)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        query, key, value = parts
        weights = (query @ key.transpose(2, 3) / self.head_dim**0.5).softmax(-1)
        return self.output((weights @ value).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class EncoderBlock(nn.Module):
    """Attention and two linear layers, each behind a norm and beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(WIDTH), SelfAttention()
        self.norm2 = nn.LayerNorm(WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """``n x tokens x width`` to the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))  # type: ignore[no-any-return]


class RowEncoder(nn.Module):
    """Three encoder blocks of eight heads over the eight rows of a digit, 0.1 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, WIDTH)
        self.positions = nn.Parameter(0.02 * torch.randn(1, 8, WIDTH))
        self.blocks = nn.Sequential(*(EncoderBlock() for _ in range(BLOCKS)))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``n x 1 x 8 x 8`` in [0, 1] to ``n x 10`` logits."""
        tokens = self.blocks(self.embed(x[:, 0]) + self.positions)
        return self.head(self.norm(tokens).mean(1))  # type: ignore[no-any-return]
