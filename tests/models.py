"""Small networks of the shapes that compression must cope with, and a workload around any of them."""

from __future__ import annotations

import copy
import functools

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it


class Concatenating(nn.Module):
    """Two branches side by side; the layer after them sees both."""

    def __init__(self):
        super().__init__()
        self.left = nn.Conv2d(1, 16, 3, padding=1)
        self.right = nn.Conv2d(1, 24, 1)
        self.after = nn.Conv2d(40, 16, 3, padding=1)
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        both = torch.cat([F.relu(self.left(x)), F.relu(self.right(x))], dim=1)
        return self.out(F.relu(self.after(both)).mean((2, 3)))


class Depthwise(nn.Module):
    """An inverted residual: expand, depthwise, project, add."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.expand = nn.Sequential(nn.Conv2d(16, 48, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(48, 48, 3, padding=1, groups=48, bias=False), nn.BatchNorm2d(48), nn.ReLU6()
        )
        self.project = nn.Sequential(nn.Conv2d(48, 16, 1, bias=False), nn.BatchNorm2d(16))
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        x = self.stem(x)
        return self.out((x + self.project(self.depthwise(self.expand(x)))).mean((2, 3)))


class Flattening(nn.Module):
    """Convolutions, pooling, and a linear layer over flattened positions; odd names."""

    def __init__(self):
        super().__init__()
        self.a_1 = nn.Conv2d(1, 16, 3, padding=1)
        self.Zwei = nn.Conv2d(16, 32, 3, padding=1)
        self.last_one = nn.Linear(32 * 16, 32)
        self.weight_ = nn.Linear(32, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.Zwei(F.relu(self.a_1(x)))), 2)
        return self.weight_(F.relu(self.last_one(x.flatten(1))))


class Reusing(nn.Module):
    """One convolution called twice, and two outputs of which the first counts."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.shared = nn.Conv2d(16, 16, 3, padding=1)
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(self.shared(F.relu(self.shared(x))))
        features = x.mean((2, 3))
        return self.out(features), features


class Grouped(nn.Module):
    """A convolution in four groups."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, padding=1)
        self.grouped = nn.Conv2d(32, 32, 3, padding=1, groups=4)
        self.out = nn.Linear(32, 10)

    def forward(self, x):
        return self.out(F.relu(self.grouped(F.relu(self.stem(x)))).mean((2, 3)))


class Mlp(nn.Module):
    """Linear layers alone; the runtime fuses each with its activation and calls the result otherwise."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)

    def forward(self, x):
        return self.out(F.relu(self.second(F.relu(self.first(x.flatten(1))))))


class Bare(nn.Module):
    """Convolutions with nothing between them; the last one makes the model's output, n x 10 x 1 x 1."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 2, 1, bias=False)
        self.out = nn.Conv2d(16, 10, 2)

    def forward(self, x):
        return self.out(self.second(self.first(x)))


class Features(nn.Module):
    """Gives the features of its last convolution besides the logits."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        features = F.relu(self.body(F.relu(self.stem(x))))
        return self.out(features.mean((2, 3))), features


class Tied(nn.Module):
    """Two convolutions of one weight."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.body, self.tied = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.tied.weight = self.body.weight
        self.out = nn.Linear(16, 10)

    def forward(self, x):
        return self.out(F.relu(self.tied(F.relu(self.body(F.relu(self.stem(x)))))).mean((2, 3)))


class OddlyNamed(nn.Module):
    """Layers whose names look like parameters, escapes, and names that a graph gives to its nodes."""

    NAMES = ("x@0:out", "x@0_nchwc", "x", "ü /:out", "%40", "fused x", "weight")

    def __init__(self):
        super().__init__()
        widths = (1, *[8] * (len(self.NAMES) - 2))
        convs = {
            name: nn.Conv2d(width, 8, 3, padding=1) for name, width in zip(self.NAMES, widths, strict=False)
        }
        self.layers = nn.ModuleDict({**convs, self.NAMES[-1]: nn.Linear(8, 10)})

    def forward(self, x):
        *convs, out = self.layers.values()
        for conv in convs:
            x = F.relu(conv(x))
        return out(x.mean((2, 3)))


class Attention(nn.Module):
    """A transformer's block over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.embed, self.mix = nn.Linear(8, 16), nn.Linear(16, 16)
        self.query, self.key, self.value = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16, bias=False)
        self.norm, self.out = nn.LayerNorm(16), nn.Linear(16, 10)

    def forward(self, x):
        x = self.embed(x.squeeze(1))
        weights = torch.softmax(self.query(x) @ self.key(x).transpose(1, 2) / 4, dim=-1)
        x = x + self.mix(weights @ self.value(x))
        return self.out(self.norm(x + self.down(F.gelu(self.up(x)))).mean(1))


MODELS = (
    Concatenating,
    Depthwise,
    Flattening,
    Reusing,
    Grouped,
    Mlp,
    Bare,
    Features,
    Tied,
    OddlyNamed,
    Attention,
)


class Around:
    """The data, loss and metric of another workload around a model, which is trained for a moment."""

    task = "image-classification"

    def __init__(self, workload, make, epochs=2):
        self.name = make.__name__.lower()
        self._workload, self._make, self._epochs = workload, make, epochs
        self.example_inputs = workload.example_inputs
        self.batches, self.metric = workload.batches, workload.metric

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs.flatten(1), targets)

    def model(self):
        return copy.deepcopy(_trained(self._workload, self._make, self._epochs))


@functools.lru_cache(maxsize=64)
def _trained(workload, make, epochs):
    """One training for all tests of a process that ask for the same."""
    around = Around(workload, make, epochs)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = make().train()
        optimizer = torch.optim.Adam(net.parameters(), 5e-3)
        for epoch in range(epochs):
            for inputs, targets in around.batches("train", 64, seed=epoch):
                outputs = net(*inputs)
                outputs = outputs[0] if isinstance(outputs, tuple) else outputs
                optimizer.zero_grad()
                around.loss(outputs, targets).backward()
                optimizer.step()
    return net.eval()
