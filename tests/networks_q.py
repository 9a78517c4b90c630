"""Networks with layers that only quantization meets: embeddings, recurrent layers, one-dimensional convolutions."""

from __future__ import annotations

import torch
from torch import nn


class Sequences(nn.Module):
    """Token and position embeddings, a linear layer, recurrent layers, convolutions over time."""

    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(300, 48), nn.Embedding(12, 48)
        self.project = nn.Linear(48, 40)
        self.lstm = nn.LSTM(40, 32, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(64, 24, batch_first=True)
        self.conv, self.depthwise = (
            nn.Conv1d(24, 32, 3, padding=1),
            nn.Conv1d(32, 32, 3, padding=1, groups=32),
        )
        self.grouped, self.out = nn.Conv1d(32, 32, 3, padding=1, groups=4), nn.Linear(32, 10)
        self.register_buffer("order", torch.arange(12)[None])

    def forward(self, tokens):
        x = torch.relu(self.project(self.words(tokens) + self.places(self.order)))
        x, _ = self.gru(self.lstm(x)[0])
        x = torch.relu(self.conv(x.transpose(1, 2)))
        return self.out(self.grouped(torch.relu(self.depthwise(x))).mean(2))


class Tokens:
    """Random sequences of twelve tokens around a network of random weights, by seed."""

    name, task = "tokens", "text-classification"

    def __init__(self, make=Sequences):
        self._make = make

    def model(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self._make().eval().requires_grad_(False)

    def example_inputs(self):
        return (next(self.batches("train", 1))[0][0],)

    def batches(self, split, batch_size, *, limit=None, seed=0):
        draw = torch.Generator().manual_seed(len(split) + seed)
        for _ in range(2):
            tokens = torch.randint(0, 300, (batch_size, 12), generator=draw)
            yield (tokens,), torch.randint(0, 10, (batch_size,), generator=draw)

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs, targets)

    def metric(self, outputs, targets):
        return float((outputs.argmax(1) == targets).mean())
