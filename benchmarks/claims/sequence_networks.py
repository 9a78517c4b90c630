"""Small networks that read sequences: encoders of patches and of tokens, and an LSTM of rows."""

from __future__ import annotations

from typing import Final

import torch
import transformers
from torch import Tensor, nn

WIDTH: Final = 64
HEADS: Final = 4
BLOCKS: Final = 4
PATCH: Final = 2


class EncoderBlock(nn.Module):
    """Attention and two linear layers, each behind a norm and beside a shortcut (Dosovitskiy et al. 2021).

    Args:
        width: of the hidden state.
        heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.project = nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``n x tokens x width`` to the same."""
        y = self.norm1(x)
        query, key, value = (
            layer(y).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
        mixed = (torch.softmax(scores, -1) @ value).transpose(1, 2).flatten(2)
        x = x + self.project(mixed)
        return x + self.contract(torch.relu(self.expand(self.norm2(x))))  # type: ignore[no-any-return]


class PatchEncoder(nn.Module):
    """A vision transformer on 16 patches of 2x2 pixels.

    Args:
        blocks: how many.
        width: of the hidden state.
    """

    def __init__(self, blocks: int = BLOCKS, width: int = WIDTH) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, width, PATCH, PATCH)
        self.position = nn.Parameter(torch.randn(1, (8 // PATCH) ** 2, width) * 0.3)
        self.blocks = nn.ModuleList(EncoderBlock(width, HEADS) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """``n x 1 x 8 x 8`` to ``n x 10`` logits."""
        hidden = self.embed(x).flatten(2).transpose(1, 2) + self.position
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.norm(hidden).mean(1))  # type: ignore[no-any-return]


class TokenEncoder(nn.Module):
    """BERT with a linear layer on the mean of its hidden states.

    Args:
        config: of the encoder.
        classes: outputs.
    """

    def __init__(self, config: transformers.BertConfig, classes: int) -> None:
        super().__init__()
        self.encoder = transformers.BertModel(config, add_pooling_layer=False)
        self.head = nn.Linear(config.hidden_size, classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """``n x tokens``, int64, to ``n x classes`` logits."""
        return self.head(self.encoder(tokens).last_hidden_state.mean(1))  # type: ignore[no-any-return]


def bert_config(
    vocabulary: int, blocks: int, width: int, heads: int, positions: int
) -> transformers.BertConfig:
    """BERT's configuration with attention in matrix products, which any exporter understands."""
    return transformers.BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=blocks,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=positions,
        attn_implementation="eager",
    )


class RowLstm(nn.Module):
    """An LSTM over the rows of an image, and a linear layer on its last state.

    Args:
        width: of the state.
    """

    def __init__(self, width: int = 96) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """``n x 8 x 8`` to ``n x 10`` logits."""
        states, _ = self.lstm(rows)
        return self.head(states[:, -1])  # type: ignore[no-any-return]
