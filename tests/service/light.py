"""A user's workload that is ready at once: two kinds of stripes, told apart by a small network in a few steps."""

import torch
from torch import nn
from torch.nn.functional import cross_entropy

SEEDS = {"train": 0, "calibration": 1, "validation": 2, "test": 3}


class Light:
    name = "light"
    task = "image-classification"

    def model(self):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 2))
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for (images,), labels in self.batches("train", 20):
            optimizer.zero_grad()
            self.loss(net(images), labels).backward()
            optimizer.step()
        return net.eval()

    def example_inputs(self):
        return (torch.zeros(1, 1, 8, 8),)

    def batches(self, split, batch_size, *, limit=None, seed=0):
        random = torch.Generator().manual_seed(SEEDS[split])
        labels = torch.randint(2, (200,), generator=random)
        rows = torch.arange(8) % 2
        stripes = torch.where(labels[:, None, None].bool(), rows, rows[:, None])[:, None].float()
        images = stripes + torch.randn(200, 1, 8, 8, generator=random)
        for chosen in torch.arange(200)[:limit].split(batch_size):
            yield (images[chosen],), labels[chosen]

    def loss(self, outputs, targets):
        return cross_entropy(outputs, targets)

    def metric(self, outputs, targets):
        return float((outputs.argmax(axis=1) == targets).mean())


factory = Light
