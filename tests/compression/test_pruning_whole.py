"""Heads and blocks through `Pruner`, together with channels and single weights, on an encoder."""

import copy

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from compression.pruning import Pruner, cubic_shares
from spaces import InvalidPolicy, LayerPolicy, Policy, Prune
from tests.networks_p import Plain

LAYERS = "bert.bert.encoder.layer"
CRITERIA = ("l1", "gradient", "taylor", "random")


class Encoder(nn.Module):
    """Four layers of four heads."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.bert = BertForSequenceClassification(
            BertConfig(
                vocab_size=100,
                hidden_size=32,
                num_hidden_layers=4,
                num_attention_heads=4,
                intermediate_size=64,
                num_labels=5,
            )
        )

    def forward(self, tokens):
        return self.bert(input_ids=tokens).logits


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Networks this small are many times slower on two threads of a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def encoder():
    return Encoder().eval()


@pytest.fixture(scope="module")
def workload(encoder):
    return Plain(encoder, torch.randint(0, 100, (96, 12), generator=torch.Generator().manual_seed(0)))


def policy_of(prunes):
    return Policy(layers={name: LayerPolicy(prune) for name, prune in prunes.items()})


def everything(criterion):
    prunes = {LAYERS: Prune(0.5, "layer", criterion)}
    for index in range(4):
        prunes |= {
            f"{LAYERS}.{index}.attention.self.query": Prune(0.5, "head", criterion),
            f"{LAYERS}.{index}.intermediate.dense": Prune(0.5, "channel", criterion),
            f"{LAYERS}.{index}.output.dense": Prune(0.5, "2:4", criterion),
            f"{LAYERS}.{index}.attention.self.key": Prune(0.3, "weight", criterion),
        }
    return policy_of(prunes)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_blocks_heads_channels_and_weights_go_together_in_steps(encoder, workload, criterion):
    model = copy.deepcopy(encoder)
    pruner = Pruner(model, workload, everything(criterion), multiple=8, seed=1)
    sizes = []

    for share in cubic_shares(4):
        pruner.advance(share)
        sizes.append(sum(parameter.numel() for parameter in model.parameters()))
        assert model(workload.example_inputs()[0]).isfinite().all()
        for name, mask in pruner.masks.items():
            assert (model.get_parameter(name)[~mask] == 0).all()

    assert sizes == sorted(sizes, reverse=True)
    assert len(set(pruner.removed_blocks)) == 2
    stays = [f"{LAYERS}.{i}" for i in range(4) if f"{LAYERS}.{i}" not in pruner.removed_blocks]
    assert len(stays) == 2
    for block in stays:
        key, down = pruner.masks[f"{block}.attention.self.key.weight"], f"{block}.output.dense.weight"
        assert model.get_submodule(f"{block}.attention.self.query").weight.shape == (16, 32)
        assert model.get_submodule(f"{block}.attention.output.dense").weight.shape == (32, 16)
        assert model.get_submodule(f"{block}.intermediate.dense").weight.shape == (32, 32)
        assert int((~key).sum()) == int(16 * 32 * 0.3)
        assert (pruner.masks[down].reshape(-1, 4).sum(1) == 2).all()


def test_shapes_alone_take_the_weights_of_a_model_that_lost_blocks_and_heads(encoder, workload):
    model, shaped = copy.deepcopy(encoder), copy.deepcopy(encoder)
    pruner = Pruner(model, workload, everything("taylor"), multiple=8)
    pruner.advance()

    Pruner(shaped, workload, everything("taylor"), multiple=8).advance_like(pruner.removed_blocks)
    shaped.load_state_dict(model.state_dict())

    assert torch.equal(shaped(workload.example_inputs()[0]), model(workload.example_inputs()[0]))


def test_steps_of_blocks_reach_the_ratio_and_not_more(encoder, workload):
    model = copy.deepcopy(encoder)
    pruner = Pruner(model, workload, policy_of({LAYERS: Prune(0.75, "layer", "random")}), multiple=1)
    gone = []
    for share in (0.3, 0.4, 0.7, 1.0):
        pruner.advance(share)
        gone.append(len(pruner.removed_blocks))

    assert gone == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "prune", "says"),
    [
        ("bert", Prune(0.5, "layer"), f"no container of repeated blocks; the model has: {LAYERS}"),
        (f"{LAYERS}.0.attention.self.key", Prune(0.5, "head"), "coupled to"),
        (f"{LAYERS}.0.attention.self.query", Prune(0.5, "channel"), "pruned by 'head', not by 'channel'"),
        (f"{LAYERS}.0.intermediate.dense", Prune(0.5, "head"), "pruned by 'channel', not by 'head'"),
        (f"{LAYERS}.0.attention.self.query", Prune(0.5, "head", "bn_scale"), "ranks channels, not 'head'"),
    ],
)
def test_units_that_do_not_fit_are_refused_with_their_place(encoder, workload, name, prune, says):
    with pytest.raises(InvalidPolicy) as caught:
        Pruner(encoder, workload, policy_of({name: prune}), multiple=1)

    assert says in str(caught.value)
    assert caught.value.faults[0].pointer.startswith(f"/layers/{name}/prune")
