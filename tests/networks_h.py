"""Networks with attention, repeated blocks and recurrent layers, and a workload around one with any inputs."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    ViTConfig,
    ViTForImageClassification,
)

IMAGES = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)),)
TOKENS = (
    torch.randint(1, 99, (2, 12), generator=torch.Generator().manual_seed(0)),
    torch.tensor([[1] * 12, [1] * 9 + [0] * 3]),
)


class Heads(nn.Module):
    """Attention with a layer each for queries, keys and values."""

    def __init__(self, dim=32, heads=4):
        super().__init__()
        self.num_heads, self.head_dim = heads, dim // heads
        self.query, self.key, self.value = nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def project(self, x):
        parts = (self.query(x), self.key(x), self.value(x))
        return [part.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2) for part in parts]

    def forward(self, x):
        q, k, v = self.project(x)
        weights = torch.softmax(q @ k.transpose(2, 3) * self.head_dim**-0.5, dim=-1)
        return self.proj((weights @ v).transpose(1, 2).flatten(2))


class FusedHeads(Heads):
    """One layer for all three, as vision transformers have it: queries of all heads, then keys, then values."""

    def __init__(self, dim=32, heads=4):
        super().__init__(dim, heads)
        del self.query, self.key, self.value
        self.qkv = nn.Linear(dim, 3 * dim)

    def project(self, x):
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.num_heads, self.head_dim)
        return qkv.permute(2, 0, 3, 1, 4).unbind(0)


class HeadMajorHeads(FusedHeads):
    """One layer for all three, head by head."""

    def project(self, x):
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, self.num_heads, 3, self.head_dim)
        return qkv.permute(3, 0, 2, 1, 4).unbind(0)


class ReshapingHeads(Heads):
    """Puts the heads side by side by an attribute that also names its own width."""

    def __init__(self, dim=32, heads=4):
        super().__init__(dim, heads)
        self.embed_dim = dim

    def forward(self, x):
        q, k, v = self.project(x)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(*x.shape[:2], self.embed_dim))


class StubbornHeads(Heads):
    """Cannot lose heads: its number of heads stands in the code."""

    def forward(self, x):
        q, k, v = (
            part(x).unflatten(-1, (4, 8)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class InterleavedHeads(Heads):
    """Cannot lose heads as groups of neighbouring rows: a head's rows are spread over the layer."""

    def project(self, x):
        parts = (self.query(x), self.key(x), self.value(x))
        return [part.unflatten(-1, (self.head_dim, self.num_heads)).permute(0, 3, 1, 2) for part in parts]


class UncountedHeads(Heads):
    """Does not say how many heads it has."""

    def __init__(self, dim=32, heads=4):
        super().__init__(dim, heads)
        self.__dict__["_heads"] = (self.__dict__.pop("num_heads"), self.__dict__.pop("head_dim"))

    def project(self, x):
        parts = (self.query(x), self.key(x), self.value(x))
        return [part.unflatten(-1, self._heads).transpose(1, 2) for part in parts]

    def forward(self, x):
        return self.proj(F.scaled_dot_product_attention(*self.project(x)).transpose(1, 2).flatten(2))


class SharedHeads(Heads):
    """Queries and keys of one weight."""

    def __init__(self, dim=32, heads=4):
        super().__init__(dim, heads)
        self.key.weight = self.query.weight


class Block(nn.Module):
    """A transformer's block, normalized before."""

    def __init__(self, attention=Heads, dim=32):
        super().__init__()
        self.before, self.attention = nn.LayerNorm(dim), attention(dim)
        self.after, self.up, self.down = nn.LayerNorm(dim), nn.Linear(dim, 48), nn.Linear(48, dim)

    def forward(self, x):
        x = x + self.attention(self.before(x))
        return x + self.down(F.gelu(self.up(self.after(x))))


class TupledBlock(Block):
    """Takes a mask and a flag, and returns more than its output."""

    kind = "tupled"

    def forward(self, x, mask, flag=None):
        return super().forward(x * mask), flag


class Encoder(nn.Module):
    """Blocks over the rows of an image."""

    attention, block, depth = Heads, Block, 2

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(8, 32)
        self.positions = nn.Parameter(torch.randn(8, 32) / 5)
        self.layers = nn.ModuleList([self.block(self.attention) for _ in range(self.depth)])
        self.norm, self.out = nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x):
        x = self.embed(x.squeeze(1)) + self.positions
        for layer in self.layers:
            x = self.step(layer, x)
        return self.out(self.norm(x).mean(1))

    def step(self, layer, x):
        return layer(x)


class FusedEncoder(Encoder):
    attention = FusedHeads


class HeadMajorEncoder(Encoder):
    attention = HeadMajorHeads


class ReshapingEncoder(Encoder):
    attention = ReshapingHeads


class TupledEncoder(Encoder):
    block, depth = TupledBlock, 3

    def step(self, layer, x):
        assert layer.training is self.training
        x, flag = layer(x, torch.ones(8, 1), flag=None)
        assert flag is None
        return x


class DeepEncoder(Encoder):
    depth = 4


def trained_encoder(workload):
    """Four blocks, trained on the rows of digits for two seconds: about 85 % of the validation images."""
    torch.manual_seed(0)
    net, epochs = DeepEncoder().train(), 15
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3)
    batches = [batch for epoch in range(epochs) for batch in workload.batches("train", 64, seed=epoch)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=len(batches))
    for inputs, targets in batches:
        optimizer.zero_grad()
        F.cross_entropy(net(*inputs), targets).backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def validated(workload, model):
    """The share of the validation split that a model gets right."""
    ((inputs, targets),) = workload.batches("validation", 1000)
    with torch.no_grad():
        return float((model(*inputs).argmax(1) == targets).double().mean())


class TorchAttention(nn.Module):
    """torch's own attention, which is not made of layers."""

    def __init__(self, dim=32):
        super().__init__()
        self.mha = nn.MultiheadAttention(dim, 4, batch_first=True)

    def forward(self, x):
        return self.mha(x, x, x)[0]


class TorchEncoder(Encoder):
    attention = TorchAttention


class TorchLayers(nn.Module):
    """torch's own encoder, which asks its first layer for attributes."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.embed, self.out = nn.Linear(8, 32), nn.Linear(32, 10)
        self.encoder = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)

    def forward(self, x):
        return self.out(self.encoder(self.embed(x.squeeze(1))).mean(1))


class Recurrent(nn.Module):
    """An embedding, a two-layer bidirectional LSTM and a GRU over ten steps."""

    def __init__(self, batch_first=True):
        super().__init__()
        self.batch_first = batch_first
        self.embedding = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 8, num_layers=2, bidirectional=True, batch_first=batch_first)
        self.gru = nn.GRU(16, 4, batch_first=batch_first)
        self.out = nn.Linear(4, 3)

    def forward(self, ids):
        x = self.embedding(ids)
        x = self.gru(self.lstm(x if self.batch_first else x.transpose(0, 1))[0])[0]
        return self.out(x[:, -1] if self.batch_first else x[-1])


class Sentences(nn.Module):
    """A classifier of transformers' over identifiers and their mask; it returns the logits."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, ids, mask):
        return self.classifier(input_ids=ids, attention_mask=mask).logits


class Pictures(nn.Module):
    """A classifier of transformers' over images; it returns the logits."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, images):
        return self.classifier(images).logits


_SIZES = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 48}


def bert():
    return Sentences(BertForSequenceClassification(BertConfig(vocab_size=100, **_SIZES)))


def distilbert():
    sizes = {"dim": 32, "n_heads": 4, "n_layers": 3, "hidden_dim": 48}
    return Sentences(DistilBertForSequenceClassification(DistilBertConfig(vocab_size=100, **sizes)))


def vit():
    config = ViTConfig(image_size=8, patch_size=2, num_channels=1, num_labels=10, **_SIZES)
    return Pictures(ViTForImageClassification(config))


def llama(kv_heads=4):
    config = LlamaConfig(
        vocab_size=100, num_key_value_heads=kv_heads, pad_token_id=0, use_cache=False, **_SIZES
    )
    return Sentences(LlamaForSequenceClassification(config))


def untrained(make, spread=8.0):
    """A model with weights far enough from zero that every part matters."""
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.normal_(0, (spread**0.5) * module.in_features**-0.5 / 2)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
    return model


class Fixed:
    """A workload around a model, of one batch of given inputs in every split, labelled by chance."""

    task = "classification"

    def __init__(self, model, inputs, classes=2):
        self.name, self._model, self._inputs = "fixed", model, inputs
        self._targets = torch.arange(len(inputs[0])) % classes

    def model(self):
        return self._model

    def example_inputs(self):
        return self._inputs

    def batches(self, split, batch_size, *, limit=None, seed=0):
        yield self._inputs, self._targets

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs, targets):
        return float((outputs.argmax(1) == targets).mean())


FAMILIES = {
    "separate": (Encoder, IMAGES),
    "fused": (FusedEncoder, IMAGES),
    "head-major": (HeadMajorEncoder, IMAGES),
    "reshaping": (ReshapingEncoder, IMAGES),
    "tupled": (TupledEncoder, IMAGES),
    "bert": (bert, TOKENS),
    "distilbert": (distilbert, TOKENS),
    "vit": (vit, IMAGES),
    "llama": (llama, TOKENS),
}
TRANSFORMERS = ("bert", "distilbert", "vit", "llama")
"""Those of them that are the library's."""


def of_family(name):
    """A model of it, and inputs."""
    make, inputs = FAMILIES[name]
    return untrained(make), inputs
