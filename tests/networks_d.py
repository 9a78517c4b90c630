"""A small text workload with two inputs around tiny transformers, and networks that training must cope with."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from compression import main_output

VOCABULARY, LENGTH, CLASSES = 24, 12, 4
SIZES = {"train": 1024, "calibration": 128, "validation": 256, "test": 256}


class TinyBert(nn.Module):
    """transformers' BERT for classification, with positional inputs and logits as its output."""

    def __init__(self, layers=2, width=64, heads=4, implementation="sdpa"):
        from transformers import BertConfig, BertForSequenceClassification

        super().__init__()
        config = BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=2 * width,
            max_position_embeddings=LENGTH,
            num_labels=CLASSES,
            attn_implementation=implementation,
        )
        self.bert = BertForSequenceClassification(config)

    def forward(self, input_ids, attention_mask):
        return self.bert(input_ids=input_ids, attention_mask=attention_mask).logits


class TorchEncoder(nn.Module):
    """torch's own encoder, whose attention is hidden in `nn.MultiheadAttention`."""

    def __init__(self, layers=2, width=16, heads=2):
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.out = nn.Linear(width, CLASSES)

    def forward(self, input_ids, attention_mask):
        states = self.encoder(self.embed(input_ids), src_key_padding_mask=attention_mask == 0)
        return self.out(states.mean(1)), states


class Spotting:
    """Sequences of 4 to 12 tokens, one of which is 1, 2, 3 or 4 and makes the class; the rest is 0 or above 4."""

    name, task = "spotting", "text-classification"

    def __init__(self, make=TinyBert, epochs=4):
        self.make, self.epochs = make, epochs

    @cached_property
    def splits(self):
        made = {}
        for index, (split, size) in enumerate(SIZES.items()):
            generator = torch.Generator().manual_seed(index)
            ids = torch.randint(CLASSES + 1, VOCABULARY, (size, LENGTH), generator=generator)
            labels = torch.randint(CLASSES, (size, 1), generator=generator)
            lengths = torch.randint(4, LENGTH + 1, (size, 1), generator=generator)
            at = (torch.rand(size, 1, generator=generator) * lengths).long()
            ids.scatter_(1, at, labels + 1)
            mask = (torch.arange(LENGTH) < lengths).long()
            made[split] = ids * mask, mask, labels.squeeze(1)
        return made

    def model(self):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = self.make().train()
            steps = self.epochs * SIZES["train"] // 32
            optimizer = torch.optim.AdamW(net.parameters(), 2e-3)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps + 1)
            for epoch in range(self.epochs):
                for inputs, targets in self.batches("train", 32, seed=epoch):
                    optimizer.zero_grad()
                    self.loss(main_output(net(*inputs)), targets).backward()
                    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                    optimizer.step()
                    schedule.step()
        return net.eval()

    def example_inputs(self):
        ids, mask, _ = self.splits["calibration"]
        return ids[:1], mask[:1]

    def batches(self, split, batch_size, *, limit=None, seed=0):
        ids, mask, labels = self.splits[split]
        order = torch.arange(len(ids))
        if split == "train":
            order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(seed))
        for chosen in order[:limit].split(batch_size):
            yield (ids[chosen], mask[chosen]), labels[chosen]

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs, targets):
        return float((outputs.argmax(axis=1) == targets).mean())
