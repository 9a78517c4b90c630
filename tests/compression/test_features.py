import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812  # the field's name for it

from compression.attention_scores import AttentionScores, score_loss
from compression.block_pairs import evenly, pair_blocks, repeated_blocks
from compression.features import KINDS, match_features
from compression.hidden_states import HiddenStates
from compression.score_recorder import ScoreRecorder
from spaces import CompressionError
from tests.models import Attention, Mlp
from tests.networks_d import TinyBert, TorchEncoder


def random(make):
    torch.manual_seed(0)
    return make().eval()


def recorded(run):
    with ScoreRecorder() as recorder:
        run()
    return recorder.scores


def loss_between(match, student, teacher, inputs):
    with match.watching(student) as seen:
        student(*inputs)
    with torch.no_grad(), match.watching(teacher) as taught:
        teacher(*inputs)
    return match.loss(seen, taught)


class Tokens(nn.Module):
    """Blocks over n x t x width."""

    def __init__(self, width, blocks):
        super().__init__()
        self.embed = nn.Linear(8, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(blocks)
        )  # fmt: skip

    def forward(self, x):
        x = self.embed(x.squeeze(1))
        for block in self.blocks:
            x = block(x)
        return x.mean(1)


class Images(nn.Module):
    """Blocks over n x width x h x w."""

    def __init__(self, width, stride=1):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, stride, 1)
        self.blocks = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(width, width, 3, 1, 1), nn.Tanh()) for _ in range(2))
        )

    def forward(self, x):
        return self.blocks(self.stem(x)).mean((2, 3))


def test_a_uniform_mapping_ends_with_the_last_of_both():
    assert evenly("abc", range(6)) == [("a", 1), ("b", 3), ("c", 5)]
    assert evenly("ab", range(5)) == [("a", 2), ("b", 4)]
    assert evenly("abcd", range(2)) == [("a", 0), ("b", 0), ("c", 1), ("d", 1)]
    assert evenly("a", []) == []


def test_blocks_are_paired_by_path_within_a_family_and_evenly_across(digits_model):
    student = copy.deepcopy(digits_model)
    student.stage1[1] = nn.Identity()

    assert repeated_blocks(digits_model) == ["stage1.0", "stage1.1", "stage2.0", "stage2.1"]
    assert pair_blocks(digits_model, digits_model) == [(path, path) for path in repeated_blocks(digits_model)]
    assert pair_blocks(student, digits_model) == [
        ("stage1.0", "stage1.1"), ("stage2.0", "stage2.0"), ("stage2.1", "stage2.1")
    ]  # fmt: skip
    assert pair_blocks(Tokens(8, 2), digits_model) == [("blocks.0", "stage1.1"), ("blocks.1", "stage2.1")]
    assert pair_blocks(Tokens(8, 2), Tokens(8, 4)) == [("blocks.0", "blocks.1"), ("blocks.1", "blocks.3")]
    assert pair_blocks(Mlp(), digits_model) == []


def test_hidden_states_of_one_shape_differ_by_their_mean_squared_difference(digits):
    student, teacher = random(lambda: Tokens(12, 2)), Tokens(12, 2).eval()
    (inputs, _) = next(digits.batches("calibration", 8))
    match = HiddenStates(student, teacher, digits.example_inputs())

    found = loss_between(match, student, teacher, inputs)

    def states(model):
        first = model.blocks[0](model.embed(inputs[0].squeeze(1)))
        return first, model.blocks[1](first)

    expected = [(a - b).square().mean() for a, b in zip(states(student), states(teacher), strict=True)]
    assert torch.allclose(found, sum(expected) / 2)
    assert list(match.parameters()) == []
    assert loss_between(match, teacher, copy.deepcopy(teacher), inputs) == 0


@pytest.mark.parametrize(("make", "channel"), [(lambda w: Tokens(w, 2), -1), (Images, 1)])
def test_where_widths_differ_a_projection_maps_channels(digits, make, channel):
    student, teacher = random(lambda: make(6)), make(10).eval()
    (inputs, _) = next(digits.batches("calibration", 8))
    match = HiddenStates(student, teacher, digits.example_inputs())

    found = loss_between(match, student, teacher, inputs)

    with match.watching(student) as seen, torch.no_grad():
        student(*inputs)
    with match.watching(teacher) as taught, torch.no_grad():
        teacher(*inputs)
    projections = list(match.parameters())
    expected = [
        (seen[path].movedim(channel, -1) @ weight.T - taught[path].movedim(channel, -1)).square().mean()
        for path, weight in zip(("blocks.0", "blocks.1"), projections, strict=True)
    ]
    assert [tuple(each.shape) for each in projections] == [(10, 6), (10, 6)]
    assert torch.allclose(found, sum(expected) / 2)


def test_where_more_differs_states_are_averaged_over_positions(digits):
    student, teacher = random(lambda: Images(6, 2)), Tokens(10, 2).eval()
    (inputs, _) = next(digits.batches("calibration", 8))
    match = HiddenStates(student, teacher, digits.example_inputs())

    found = loss_between(match, student, teacher, inputs)

    with torch.no_grad(), match.watching(student) as seen:
        student(*inputs)
    with torch.no_grad(), match.watching(teacher) as taught:
        teacher(*inputs)
    expected = [
        (seen[path].mean((2, 3)) @ weight.T - taught[path].mean(1)).square().mean()
        for path, weight in zip(("blocks.0", "blocks.1"), match.parameters(), strict=True)
    ]
    assert torch.allclose(found, sum(expected) / 2, atol=1e-6)


def test_projections_start_the_same_each_time_and_draw_no_random_numbers(digits):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    models = [random(lambda: Images(6)), random(lambda: Images(10))]
    torch.set_rng_state(state)

    one, other = (HiddenStates(*models, digits.example_inputs()) for _ in range(2))

    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_a_model_without_blocks_has_no_hidden_states(digits, digits_model):
    with pytest.raises(CompressionError, match="'hidden' cannot be matched"):
        match_features("hidden", Mlp(), digits_model, digits.example_inputs())


def test_features_of_an_unknown_kind_are_refused_with_the_choices(digits):
    with pytest.raises(CompressionError, match="none, hidden, attention"):
        match_features("logits", Mlp(), Mlp(), digits.example_inputs())
    assert set(KINDS) == {"hidden", "attention"}


@pytest.mark.parametrize(
    ("mask", "is_causal"), [(None, False), ("bool", False), ("float", False), (None, True)]
)
def test_scores_of_a_dot_product_attention_are_those_of_its_softmax(mask, is_causal):
    q, k, v = (torch.randn(2, 3, 5, 4) for _ in range(3))
    kept = torch.rand(2, 1, 5, 5) > 0.3
    kept[..., 0] = True
    attn_mask = {None: None, "bool": kept, "float": torch.where(kept, 0.0, -math.inf)}[mask]

    (scores,) = recorded(lambda: F.scaled_dot_product_attention(q, k, v, attn_mask, is_causal=is_causal))

    expected = F.scaled_dot_product_attention(q, k, v, attn_mask, is_causal=is_causal)
    assert torch.allclose(scores.softmax(-1) @ v, expected, atol=1e-6)


def test_keys_that_queries_share_are_repeated():
    q, k, v = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8), torch.randn(2, 2, 5, 8)

    (scores,) = recorded(lambda: F.scaled_dot_product_attention(q, k, v, scale=0.5, enable_gqa=True))

    expected = F.scaled_dot_product_attention(q, k, v, scale=0.5, enable_gqa=True)
    assert torch.allclose(scores.softmax(-1) @ v.repeat_interleave(2, 1), expected, atol=1e-6)


@pytest.mark.parametrize("mask", [None, "bool", "float", "heads", "padding"])
def test_scores_of_torch_s_own_attention_are_those_of_its_weights(mask):
    layer, x = nn.MultiheadAttention(8, 2, batch_first=True).eval(), torch.randn(3, 5, 8)
    nn.init.normal_(layer.in_proj_bias)
    out = torch.ones(5, 5, dtype=torch.bool).triu(1)
    masks = {
        None: {},
        "bool": {"attn_mask": out},
        "float": {"attn_mask": torch.where(out, -math.inf, 0.0)},
        "heads": {"attn_mask": out.repeat(6, 1, 1)},
        "padding": {"key_padding_mask": torch.tensor([[False] * 4 + [True]] * 3)},
    }[mask]

    (scores,) = recorded(lambda: layer(x, x, x, need_weights=False, **masks))

    expected = layer(x, x, x, average_attn_weights=False, **masks)[1]
    assert torch.allclose(scores.softmax(-1), expected, atol=1e-6)


def test_softmaxes_over_classes_and_over_other_dimensions_are_no_attention():
    square = torch.randn(2, 3, 5, 5)

    assert (
        len(recorded(lambda: (square.softmax(-1), torch.softmax(square, dim=3), F.softmax(square, -1)))) == 3
    )
    assert len(recorded(lambda: nn.Softmax(-1)(square[0]))) == 1
    assert (
        recorded(lambda: (square.softmax(1), torch.randn(4, 4).softmax(-1), torch.randn(2, 3, 4).softmax(-1)))
        == []
    )


def test_the_score_loss_leaves_out_what_is_masked_and_averages_unequal_heads():
    student, teacher = torch.randn(2, 4, 5, 5, requires_grad=True), torch.randn(2, 4, 5, 5)
    kept = torch.rand(5, 5) > 0.4
    least = torch.finfo(torch.float32).min
    masked = student.masked_fill(~kept, -math.inf), teacher + torch.where(kept, 0.0, least)

    found = score_loss(*masked)
    found.backward()

    assert torch.allclose(found, (student - teacher).square()[..., kept].mean())
    assert bool(student.grad.isfinite().all())
    assert bool((student.grad[..., ~kept] == 0).all())
    half = score_loss(student[:, :2], teacher)
    assert torch.allclose(half, (student[:, :2].mean(1) - teacher.mean(1)).square().mean())
    assert score_loss(torch.full((1, 1, 2, 2), -math.inf), torch.full((1, 1, 2, 2), -math.inf)) == 0


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_attention_of_bert_is_found_in_either_implementation_alike(spotting, implementation):
    inputs = next(spotting.batches("calibration", 16))[0]
    student = random(lambda: TinyBert(2, 32, 4, implementation))
    other = random(lambda: TinyBert(2, 32, 4, "eager"))
    teacher = TinyBert(2, 32, 4, "sdpa").eval()

    match = AttentionScores(student, teacher, spotting.example_inputs())
    found = loss_between(match, student, teacher, inputs)
    found.backward()

    expected = loss_between(
        AttentionScores(other, teacher, spotting.example_inputs()), other, teacher, inputs
    )
    assert torch.allclose(found, expected, rtol=1e-4)
    query = student.bert.bert.encoder.layer[0].attention.self.query.weight
    assert float(query.grad.abs().sum()) > 0
    assert loss_between(match, copy.deepcopy(teacher), teacher, inputs) == 0


def test_attention_of_torch_s_encoder_is_found_in_both_modes(spotting):
    inputs = next(spotting.batches("calibration", 16))[0]
    student, teacher = random(TorchEncoder).train(), TorchEncoder().eval()

    match = AttentionScores(student, teacher, spotting.example_inputs())
    found = loss_between(match, student, teacher, inputs)
    found.backward()

    assert float(found.detach()) > 0
    assert float(student.encoder.layers[0].self_attn.in_proj_weight.grad.abs().sum()) > 0


def test_attention_of_a_vision_transformer_and_of_one_written_by_hand_is_found(digits):
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        image_size=8, patch_size=2, num_channels=1,
    )  # fmt: skip
    inputs = next(digits.batches("calibration", 4))[0]

    (scores,) = recorded(lambda: random(Attention)(*inputs))
    vit = recorded(lambda: random(lambda: ViTForImageClassification(config))(*inputs))

    assert scores.shape == (4, 1, 8, 8)
    assert [each.shape for each in vit] == [(4, 2, 17, 17)] * 2


class PassThrough(nn.Module):
    def forward(self, states, *_, **__):
        return states


def test_a_student_without_a_block_learns_attention_from_its_own_modules(spotting):
    inputs = next(spotting.batches("calibration", 16))[0]
    teacher = random(lambda: TinyBert(3, 32, 4))
    student = copy.deepcopy(teacher)
    student.bert.bert.encoder.layer[2] = PassThrough()
    foreign = TinyBert(1, 32, 2).eval()

    kept = AttentionScores(student, teacher, spotting.example_inputs())
    assert loss_between(kept, student, teacher, inputs) == 0

    last = AttentionScores(foreign, teacher, spotting.example_inputs())
    (mine,), theirs = recorded(lambda: foreign(*inputs)), recorded(lambda: teacher(*inputs))
    expected = score_loss(mine, theirs[2].detach())
    assert torch.allclose(loss_between(last, foreign, teacher, inputs), expected)


def test_attention_over_other_positions_cannot_be_matched(digits):
    class Shorter(Attention):
        def forward(self, x):
            return super().forward(x[..., ::2, :])

    with pytest.raises(CompressionError, match=r"\(4, 4\).*\(8, 8\)"):
        AttentionScores(Shorter().eval(), Attention().eval(), digits.example_inputs())
