"""Networks for pruning: random graphs of sums, concatenations, depthwise and grouped layers, and odd ones out."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

KINDS = ("conv", "linear1x1", "sum", "concat", "depthwise", "grouped", "add-concat", "norm")


class RandomNet(nn.Module):
    """Steps one after another on an image; every convolution is followed by BatchNorm with real statistics."""

    def __init__(self, steps, width=8, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.steps = steps
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.layers = nn.ModuleDict()
        for index, (kind, outputs) in enumerate(steps):
            width = self._build(f"s{index}", kind, width, outputs)
        self.out = nn.Linear(width, 5)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.running_mean, -0.2, 0.2)
                nn.init.uniform_(module.running_var, 0.5, 1.5)
        self.eval()

    def _build(self, name, kind, width, outputs):
        def conv(inputs, outputs, kernel, **options):
            layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options)
            return nn.Sequential(layer, nn.BatchNorm2d(outputs))

        made = {"a": nn.Identity(), "b": nn.Identity()}
        if kind == "conv":
            made["a"] = conv(width, outputs, 3)
        elif kind == "linear1x1":
            made["a"] = conv(width, outputs, 1, bias=False)
        elif kind == "sum":
            made["a"], outputs = conv(width, width, 3), width
        elif kind == "concat":
            made["a"], outputs = conv(width, outputs, 1), width + outputs
        elif kind == "depthwise":
            made["a"], outputs = conv(width, width, 3, groups=width), width
        elif kind == "grouped":
            outputs = width * 2
            made["a"] = conv(width, outputs, 3, groups=2 if width % 2 == 0 else 1)
        elif kind == "add-concat":  # couples one layer with parts of the concatenation
            made["a"], made["b"] = conv(width, outputs, 1), conv(width, width + outputs, 1)
            outputs = width + outputs
        elif kind == "norm":
            made["a"], outputs = nn.GroupNorm(1, width), width
        self.layers[name] = nn.ModuleDict(made)
        return outputs

    def forward(self, x):
        x = F.relu(self.stem(x))
        for index, (kind, _) in enumerate(self.steps):
            layer = self.layers[f"s{index}"]
            if kind == "sum":
                x = x + layer["a"](x)
            elif kind == "concat":
                x = torch.cat([x, layer["a"](x)], 1)
            elif kind == "add-concat":
                x = torch.cat([x, layer["a"](x)], 1) + layer["b"](x)
            else:
                x = layer["a"](x)
            x = F.relu(x)
        return self.out(x.mean((2, 3)))


@st.composite
def random_nets(draw, kinds=KINDS):
    steps = draw(
        st.lists(st.tuples(st.sampled_from(kinds), st.sampled_from((4, 6, 8))), min_size=1, max_size=4)
    )
    return RandomNet(tuple(steps), draw(st.sampled_from((4, 8))), draw(st.integers(0, 9)))


class Transposing(nn.Module):
    """Flattens with the channels last, which no dependency graph of channels first can follow."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 6, 3, padding=1), nn.Linear(6 * 64, 5)

    def forward(self, x):
        return self.out(F.relu(self.conv(x)).permute(0, 2, 3, 1).flatten(1))


class FusedAttention(nn.Module):
    """Self-attention of two heads with one linear layer for queries, keys and values."""

    def __init__(self):
        super().__init__()
        self.embed, self.qkv, self.mix = nn.Linear(8, 16), nn.Linear(16, 48), nn.Linear(16, 16)
        self.up, self.down, self.norm = nn.Linear(16, 32), nn.Linear(32, 16), nn.LayerNorm(16)
        self.out = nn.Linear(16, 5)

    def forward(self, x):
        x = self.embed(x.squeeze(1))
        n, length, _ = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, length, 16)
        x = self.norm(x + self.mix(mixed))
        return self.out((x + self.down(F.gelu(self.up(x)))).mean(1))


class Chunking(nn.Module):
    """Halves of one layer's channels go different ways."""

    def __init__(self):
        super().__init__()
        self.both, self.after = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Linear(8, 5)

    def forward(self, x):
        left, right = self.both(x).chunk(2, 1)
        return self.out((left * torch.sigmoid(self.after(F.relu(right)))).mean((2, 3)))


class Recurrent(nn.Module):
    """An LSTM between linear layers."""

    def __init__(self):
        super().__init__()
        self.first, self.lstm, self.out = nn.Linear(8, 6), nn.LSTM(6, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, x):
        return self.out(self.lstm(self.first(x.squeeze(1)))[0].mean(1))


class Narrowing(nn.Module):
    """A depthwise convolution with two inputs for each output."""

    def __init__(self):
        super().__init__()
        self.stem, self.narrow = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1, groups=4)
        self.out = nn.Linear(4, 5)

    def forward(self, x):
        return self.out(F.relu(self.narrow(F.relu(self.stem(x)))).mean((2, 3)))


class Plain:
    """A workload around an untrained model, with random data of three classes a seed."""

    name, task = "plain", "image-classification"

    def __init__(self, model, inputs=None, targets=None):
        generator = torch.Generator().manual_seed(0)
        self._model = model
        self._inputs = torch.rand(96, 1, 8, 8, generator=generator) if inputs is None else inputs
        self._targets = torch.randint(0, 5, (96,), generator=generator) if targets is None else targets

    def model(self):
        return self._model

    def example_inputs(self):
        return (self._inputs[:1],)

    def batches(self, split, batch_size, *, limit=None, seed=0):
        inputs, targets = self._inputs[:limit], self._targets[:limit]
        for start in range(0, len(inputs), batch_size):
            yield (inputs[start : start + batch_size],), targets[start : start + batch_size]

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs, targets):
        return float((outputs.argmax(1) == targets).mean())
