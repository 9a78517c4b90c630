"""Networks for training through quantization, equalization and bias correction, and small transformers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from transformers import BertConfig, BertForSequenceClassification, ViTConfig, ViTForImageClassification


class Separable(nn.Module):
    """Depthwise and pointwise convolutions in turn, with ReLU between."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(
            self._block(1, 16, 3), self._block(16, 16, 3, 16), self._block(16, 32, 1),
            self._block(32, 32, 3, 32), self._block(32, 32, 1),
        )  # fmt: skip
        self.out = nn.Linear(32, 10)

    @staticmethod
    def _block(inputs, outputs, size, groups=1):
        conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())

    def forward(self, x):
        return self.out(self.blocks(x).mean((2, 3)))


def unbalance(model, spread=1.5, seed=0):
    """Scales the channels between the blocks of a `Separable` up and down; the function stays what it is."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for first, second in zip(model.blocks[:-1], model.blocks[1:], strict=True):
            scale = torch.exp(spread * torch.randn(len(first[1].weight), generator=draw))
            first[1].weight *= scale
            first[1].bias *= scale
            along = (-1, 1, 1, 1) if second[0].groups > 1 else (1, -1, 1, 1)
            second[0].weight /= scale.view(along)
    return model


class Bounded(nn.Module):
    """ReLU6 everywhere; half of the second layer's channels are small, so that they never reach 6."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.third, self.out = nn.Conv2d(8, 8, 1), nn.Linear(8, 10)
        with torch.no_grad():
            self.first.weight *= 20
            self.second.weight[:4] *= 0.01
            self.second.weight[4:] *= 20

    def forward(self, x):
        x = F.relu6(self.second(F.relu6(self.first(x))))
        return self.out(F.relu6(self.third(x)).mean((2, 3)))


class TinyBert(nn.Module):
    """Logits of a BERT of two layers, from ids and mask."""

    def __init__(self):
        super().__init__()
        config = BertConfig(
            vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=32, attn_implementation="eager",
        )  # fmt: skip
        self.bert = BertForSequenceClassification(config)

    def forward(self, ids, mask):
        return self.bert(ids, attention_mask=mask).logits


class TinyVit(nn.Module):
    """Logits of a vision transformer of two layers."""

    def __init__(self):
        super().__init__()
        config = ViTConfig(
            image_size=8, patch_size=4, num_channels=1, hidden_size=32, num_hidden_layers=2,
            num_attention_heads=4, intermediate_size=64, attn_implementation="sdpa",
        )  # fmt: skip
        self.vit = ViTForImageClassification(config)

    def forward(self, images):
        return self.vit(images).logits


class Sentences:
    """Random sentences with padding around a `TinyBert` of random weights; labels are which half of the
    vocabulary the first word is of."""

    name, task = "sentences", "text-classification"

    def model(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return TinyBert().eval()

    def example_inputs(self):
        return next(self.batches("train", 1))[0]

    def batches(self, split, batch_size, *, limit=None, seed=0):
        draw = torch.Generator().manual_seed(len(split) + seed)
        for _ in range(3):
            ids = torch.randint(0, 50, (batch_size, 10), generator=draw)
            mask = (torch.arange(10) < torch.randint(3, 11, (batch_size, 1), generator=draw)).long()
            yield (ids, mask), (ids[:, 0] >= 25).long()

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs, targets):
        return float((outputs.argmax(1) == targets).mean())
