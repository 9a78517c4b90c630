import copy
import time

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from compression import list_layers, take_inventory
from spaces import LayerInventory, LayerPolicy, Policy, Prune, WorkloadError
from tests.models import Attention, Depthwise
from tests.networks_h import (
    IMAGES,
    TOKENS,
    Encoder,
    FusedEncoder,
    Recurrent,
    Sentences,
    TorchEncoder,
    UncountedHeads,
    bert,
    distilbert,
    llama,
    untrained,
    vit,
)

IDS = (torch.randint(0, 20, (3, 10), generator=torch.Generator().manual_seed(0)),)
pytestmark = pytest.mark.usefixtures("digits")  # one thread, which is twenty times faster here


def groups_of(model, inputs):
    return {group.leader: group for group in take_inventory(model, inputs).groups}


def test_an_encoder_offers_heads_inner_channels_and_blocks():
    inventory = take_inventory(untrained(bert), TOKENS)
    groups = {group.leader: group for group in inventory.groups}

    layer = "classifier.bert.encoder.layer.1"
    heads, inner = groups[f"{layer}.attention.self.query"], groups[f"{layer}.intermediate.dense"]
    assert (heads.granularity, heads.units, heads.fixed_because) == ("head", 4, None)
    assert heads.layers == tuple(f"{layer}.attention.self.{name}" for name in ("query", "key", "value"))
    assert (inner.granularity, inner.units, inner.fixed_because) == ("channel", 48, None)
    assert inner.layers == (f"{layer}.intermediate.dense",)
    assert [run.container for run in inventory.runs] == ["classifier.bert.encoder.layer"]
    assert len(inventory.runs[0].removable) == 3


@pytest.mark.parametrize(
    ("make", "inputs"),
    [(bert, TOKENS), (distilbert, TOKENS), (vit, IMAGES), (llama, TOKENS), (FusedEncoder, IMAGES)],
    ids=["bert", "distilbert", "vit", "llama", "fused"],
)
def test_an_inventory_survives_json_and_leaves_the_model_as_it_was(make, inputs):
    model = untrained(make)
    state = copy.deepcopy(model.state_dict())

    inventory = take_inventory(model, inputs)

    assert LayerInventory.from_dict(inventory.to_dict()) == inventory
    assert take_inventory(model, inputs) == inventory
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert any(group.granularity == "head" and group.fixed_because is None for group in inventory.groups)


def test_grouped_query_attention_is_a_fixed_group_and_no_channels():
    groups = groups_of(untrained(lambda: llama(kv_heads=2)), TOKENS)

    fixed = groups["classifier.model.layers.0.self_attn.q_proj"]
    assert fixed.granularity == "head"
    assert "grouped-query" in fixed.fixed_because
    assert groups["classifier.model.layers.0.mlp.gate_proj"].fixed_because is None


def test_attention_with_one_head_or_an_unknown_number_is_pruned_by_channels_or_not_at_all():
    groups = groups_of(Attention().eval(), IMAGES)
    assert groups["query"].layers == ("query", "key", "value")
    assert (groups["query"].granularity, groups["query"].fixed_because) == ("channel", None)
    assert (groups["up"].granularity, groups["up"].fixed_because) == ("channel", None)

    uncounted = type("Made", (Encoder,), {"attention": UncountedHeads})
    groups = groups_of(untrained(uncounted), IMAGES)
    assert groups["layers.0.attention.query"].granularity == "channel"
    assert groups["layers.0.attention.query"].fixed_because is not None


def test_torchs_attention_is_in_no_group_and_the_layers_around_it_are():
    inventory = take_inventory(untrained(TorchEncoder), IMAGES)

    assert not any(group.granularity == "head" for group in inventory.groups)
    assert {group.leader: group for group in inventory.groups}["layers.1.up"].fixed_because is None


def test_recurrent_layers_and_embeddings_are_listed_with_their_work():
    layers = {layer.name: layer for layer in list_layers(Recurrent().eval(), IDS)}

    assert list(layers) == ["embedding", "lstm", "gru", "out"]
    assert [layer.op for layer in layers.values()] == ["embedding", "lstm", "gru", "linear"]
    assert (layers["embedding"].macs, layers["embedding"].parameters) == (0, 120)
    assert layers["embedding"].weight_shape == (20, 6)
    # Four gates of 8, both directions, inputs and states, then the second layer on 16 inputs.
    assert layers["lstm"].macs == 10 * (2 * 32 * (6 + 8) + 2 * 32 * (16 + 8))
    assert layers["lstm"].weight_shape == (32, 6)
    assert layers["lstm"].parameters == layers["lstm"].macs // 10 + 4 * 2 * 32
    assert layers["gru"].macs == 10 * 12 * (16 + 4)
    assert layers["gru"].parameters == 12 * 20 + 2 * 12
    assert layers["out"].macs == 12


def test_work_is_that_of_one_example_whatever_the_layout():
    batch_first = list_layers(Recurrent().eval(), IDS)
    time_first = list_layers(Recurrent(batch_first=False).eval(), IDS)
    single = list_layers(Recurrent().eval(), (IDS[0][:1],))

    assert [layer.macs for layer in time_first] == [layer.macs for layer in batch_first]
    assert [layer.macs for layer in single] == [layer.macs for layer in batch_first]


def test_a_packed_sequence_counts_as_padded():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.out = nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, [7, 3], batch_first=True)
            return self.out(self.lstm(packed)[1][0][0])

    layers = {layer.name: layer for layer in list_layers(Packed().eval(), (torch.rand(2, 7, 5),))}

    assert layers["lstm"].macs == 7 * 16 * (5 + 4)


def test_a_recurrent_model_is_inventoried_whole():
    inventory = take_inventory(Recurrent().eval(), IDS)

    assert [layer.op for layer in inventory.layers] == ["embedding", "lstm", "gru", "linear"]
    assert all(group.fixed_because is not None for group in inventory.groups)


def test_a_model_of_recurrent_layers_alone_has_an_inventory_without_groups():
    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = nn.GRU(8, 4, batch_first=True)

        def forward(self, x):
            return self.gru(x.squeeze(1))[1][0]

    inventory = take_inventory(Alone().eval(), IMAGES)

    assert [layer.op for layer in inventory.layers] == ["gru"]
    assert inventory.groups == ()


def test_a_model_without_layers_is_refused_and_says_what_was_looked_for():
    with pytest.raises(WorkloadError, match=r"Conv1d.*Linear, Embedding, LSTM, GRU"):
        take_inventory(nn.Sequential(nn.ReLU()), IMAGES)


def test_a_model_that_is_a_container_offers_no_run_that_a_policy_could_not_name():
    block = lambda: nn.Sequential(nn.Linear(8, 8), nn.ReLU())  # noqa: E731

    assert take_inventory(nn.Sequential(block(), block(), block()), IMAGES).runs == ()


def test_depthwise_layers_keep_their_names():
    ops = {layer.name: layer.op for layer in take_inventory(Depthwise(), IMAGES).layers}

    assert ops == {
        "stem.0": "conv",
        "expand.0": "conv",
        "depthwise.0": "depthwise-conv",
        "project.0": "conv",
        "out": "linear",
    }


def test_six_layers_of_384_take_few_seconds_of_a_cpu():
    """Of the CPU's time, since others may use the machine: 1.9 s measured."""
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536, vocab_size=1000
    )
    model = Sentences(BertForSequenceClassification(config)).eval()
    inputs = (torch.ones(1, 40, dtype=torch.long), torch.ones(1, 40, dtype=torch.long))
    started = time.process_time()

    inventory = take_inventory(model, inputs)

    assert time.process_time() - started < 5
    free = [group for group in inventory.groups if group.fixed_because is None]
    assert [group.units for group in free if group.granularity == "head"] == [12] * 6
    assert [group.units for group in free if group.units == 1536] == [1536] * 6


def test_heads_of_torchs_attention_are_refused_with_the_reason():
    from compression.pruning import Pruner
    from spaces import InvalidPolicy
    from tests.networks_h import Fixed

    model = untrained(TorchEncoder)
    policy = Policy(layers={"layers.0.attention.mha": LayerPolicy(Prune(0.5, granularity="head"))})

    with pytest.raises(InvalidPolicy, match=r"torch\.nn\.MultiheadAttention.*in_proj_weight") as caught:
        Pruner(model, Fixed(model, IMAGES), policy, multiple=1, seed=0)

    assert caught.value.faults[0].pointer == "/layers/layers.0.attention.mha/prune"
