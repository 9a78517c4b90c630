"""Small networks of the shapes that compression must cope with, and a workload around any of them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


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


MODELS = (Concatenating, Depthwise, Flattening, Reusing, Grouped)


class Around:
    """The data, loss and metric of another workload around a model, which is trained for a moment."""

    task = "image-classification"

    def __init__(self, workload, make, epochs=2):
        self.name = make.__name__.lower()
        self._workload, self._make, self._epochs = workload, make, epochs
        self.example_inputs = workload.example_inputs
        self.batches, self.metric = workload.batches, workload.metric

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets)

    def model(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = self._make().train()
            optimizer = torch.optim.Adam(net.parameters(), 5e-3)
            for epoch in range(self._epochs):
                for inputs, targets in self.batches("train", 64, seed=epoch):
                    outputs = net(*inputs)
                    outputs = outputs[0] if isinstance(outputs, tuple) else outputs
                    optimizer.zero_grad()
                    self.loss(outputs, targets).backward()
                    optimizer.step()
        return net.eval()
