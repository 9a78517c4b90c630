import copy

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from compression import take_inventory
from compression.pruning import Pruner, cubic_shares
from spaces import CompressionError, InvalidPolicy, LayerPolicy, Policy, Prune
from tests.models import Concatenating, Depthwise, Mlp, Tied
from tests.networks_p import Plain, RandomNet, random_nets

INPUTS = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)),)
CRITERIA = ("l1", "l2", "gradient", "taylor", "random")
CONVS = ("stem.0", "stage1.0.conv1", "stage1.1.conv1", "stage2.0.conv1", "stage2.1.conv1")
SEARCHED = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def policy_of(prunes):
    return Policy(layers={name: LayerPolicy(prune) for name, prune in prunes.items()})


def made(make):
    torch.manual_seed(0)
    return make().eval()


def pruned(model, prunes, share=1.0, seed=0, multiple=1, workload=None):
    model = copy.deepcopy(model)
    pruner = Pruner(model, workload or Plain(model), policy_of(prunes), multiple=multiple, seed=seed)
    pruner.advance(share)
    return model, pruner


def same_state(model, other):
    state = other.state_dict()
    return model.state_dict().keys() == state.keys() and all(
        torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items()
    )


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def zeros(tensor):
    return int((tensor == 0).sum())


def accuracy(workload, model):
    outputs, targets = [], []
    with torch.no_grad():
        for inputs, wanted in workload.batches("validation", 300):
            outputs.append(model(*inputs).numpy())
            targets.append(wanted.numpy())
    return workload.metric(np.concatenate(outputs), np.concatenate(targets))


def test_cubic_shares_rise_fast_first_and_end_at_exactly_one():
    assert cubic_shares(1) == (1.0,)
    assert cubic_shares(4) == pytest.approx((1 - 0.75**3, 1 - 0.5**3, 1 - 0.25**3, 1.0))
    assert cubic_shares(100)[-1] == 1.0
    with pytest.raises(CompressionError, match="at least 1 step, not 0"):
        cubic_shares(0)


@SEARCHED
@given(net=random_nets(), data=st.data())
def test_channel_ratios_are_reached_within_rounding_and_parameters_fall_with_them(net, data):
    groups = [g for g in take_inventory(net, INPUTS).groups if g.fixed_because is None]
    criterion, multiple = data.draw(st.sampled_from(CRITERIA)), data.draw(st.sampled_from((1, 2, 4)))
    before = parameters(net)
    for ratio in (0.25, 0.5, 0.8):
        prunes = {group.leader: Prune(ratio, criterion=criterion) for group in groups}
        model, pruner = pruned(net, prunes, multiple=multiple)

        assert model(*INPUTS).shape == (2, 5)
        assert pruner.masks == {}
        for group in groups:
            for name in group.layers:
                assert model.get_submodule(name).weight.shape[0] == group.kept(ratio, multiple)
        assert parameters(model) <= before
        before = parameters(model)


@pytest.mark.parametrize("granularity", ["weight", "channel"])
@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_same_seed_prunes_the_same(criterion, granularity):
    reference, prunes = made(Depthwise), {"expand.0": Prune(0.5, granularity, criterion)}

    model, _ = pruned(reference, prunes, seed=3)

    assert same_state(model, pruned(reference, prunes, seed=3)[0])
    assert not same_state(model, reference)


@pytest.mark.parametrize("granularity", ["weight", "2:4", "channel", "head", "layer"])
def test_a_ratio_of_zero_changes_nothing_to_the_bit(granularity):
    reference = made(Depthwise)

    model, pruner = pruned(reference, {"expand.0": Prune(0.0, granularity)})

    assert same_state(model, reference)
    assert (pruner.masks, pruner.removed_blocks) == ({}, ())


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("ratio", [0.001, 0.3, 0.77])
def test_single_weights_become_zero_exactly_as_many_as_the_ratio_says(criterion, ratio):
    reference = made(Mlp)

    model, pruner = pruned(reference, {"second": Prune(ratio, "weight", criterion)})

    weight, mask = model.second.weight, pruner.masks["second.weight"]
    assert zeros(weight) == int((~mask).sum()) == int(32 * 32 * ratio)
    assert torch.equal(weight[mask], reference.second.weight[mask])
    assert torch.equal(model.second.bias, reference.second.bias)
    assert torch.equal(model.first.weight, reference.first.weight)


def test_the_weights_of_least_magnitude_go():
    _, pruner = pruned(made(Mlp), {"second": Prune(0.4, "weight")})
    sizes = made(Mlp).second.weight.abs()

    assert sizes[~pruner.masks["second.weight"]].max() <= sizes[pruner.masks["second.weight"]].min()


def test_two_of_four_keeps_the_two_largest_of_every_four_inputs():
    reference = made(Mlp)

    model, pruner = pruned(reference, {"first": Prune(0.5, "2:4")})

    before, after = (net.first.weight.detach().reshape(-1, 4) for net in (reference, model))
    for old, new in zip(before, after, strict=True):
        kept = sorted(range(4), key=lambda i: -abs(float(old[i])))[:2]
        assert [i for i in range(4) if new[i] != 0] == sorted(kept)
        assert all(new[i] == old[i] for i in kept)
    assert int(pruner.masks["first.weight"].sum()) == 32 * 64 // 2


def test_weights_below_a_threshold_go_and_no_others():
    reference = made(Mlp)

    model, pruner = pruned(reference, {"second": Prune(granularity="weight", threshold=0.05)})

    assert torch.equal(pruner.masks["second.weight"], reference.second.weight.abs() >= 0.05)
    assert 0 < zeros(model.second.weight) < 1024


def test_a_threshold_that_empties_a_layer_is_refused():
    with pytest.raises(InvalidPolicy, match="no weight of 'second' reaches 9; lower") as caught:
        pruned(made(Mlp), {"second": Prune(granularity="weight", threshold=9.0)})

    assert caught.value.faults[0].pointer == "/layers/second/prune/threshold"


@SEARCHED
@given(steps=st.integers(1, 5), granularity=st.sampled_from(("channel", "weight")), data=st.data())
def test_steps_with_training_between_them_end_where_one_shot_does(steps, granularity, data):
    net = RandomNet((("conv", 8), ("sum", 4), ("concat", 6)))
    criterion = data.draw(st.sampled_from(("l1", "gradient", "random")))
    prunes = {
        "stem": Prune(0.5, criterion=criterion),
        "layers.s0.a.0": Prune(0.6, "channel", criterion),
        "layers.s1.a.0": Prune(0.7, "weight", criterion),
        "layers.s2.a.0": Prune(0.5, granularity, criterion),
    }
    if granularity == "channel":  # that layer's channels are its own
        prunes["layers.s2.a.0"] = Prune(0.5, "channel", criterion)
    leaders = {group.leader for group in take_inventory(net, INPUTS).groups if not group.fixed_because}
    prunes = {name: p for name, p in prunes.items() if p.granularity == "weight" or name in leaders}
    model = copy.deepcopy(net)
    pruner = Pruner(model, Plain(model), policy_of(prunes), multiple=1)
    counts = []
    for share in cubic_shares(steps):
        pruner.advance(share)
        assert model(*INPUTS).shape == (2, 5)
        for name, mask in pruner.masks.items():
            weight = model.get_parameter(name)
            assert mask.shape == weight.shape
            assert (weight[~mask] == 0).all()
        counts.append(parameters(model))
        with torch.no_grad():  # training moves every weight that stays
            for name, parameter in model.named_parameters():
                noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)) * 0.05
                parameter.add_(noise * pruner.masks.get(name, 1))

    once, masks = pruned(net, prunes)
    assert {n: p.shape for n, p in model.named_parameters()} == {
        n: p.shape for n, p in once.named_parameters()
    }
    assert counts == sorted(counts, reverse=True)
    for name, mask in pruner.masks.items():
        assert int(mask.sum()) == int(masks.masks[name].sum())


def test_weights_that_are_gone_stay_gone_in_later_steps():
    model = made(Mlp)
    pruner = Pruner(model, Plain(model), policy_of({"second": Prune(0.8, "weight", "random")}), multiple=1)
    gone = torch.zeros(32, 32, dtype=torch.bool)
    for seed, share in enumerate((0.2, 0.5, 1.0)):
        pruner._ranking._seed = seed
        pruner.advance(share)
        now = ~pruner.masks["second.weight"]
        assert bool((now | ~gone).all())
        assert int(now.sum()) == int(1024 * 0.8 * share)
        gone = now


def test_advancing_again_or_backwards_changes_nothing():
    model, pruner = pruned(made(Depthwise), {"expand.0": Prune(0.5), "out": Prune(0.5, "weight")})
    before = copy.deepcopy(model)

    pruner.advance(1.0)
    pruner.advance(0.3)

    assert same_state(model, before)
    with pytest.raises(CompressionError, match=r"from 0 to 1, not 1\.5"):
        pruner.advance(1.5)


def test_patterns_are_reached_in_steps_and_never_keep_less():
    model = made(Mlp)
    pruner = Pruner(model, Plain(model), policy_of({"first": Prune(0.75, "2:8")}), multiple=1)
    kept = []
    for share in (0.2, 0.6, 1.0):
        pruner.advance(share)
        counts = pruner.masks["first.weight"].reshape(-1, 8).sum(1)
        assert counts.min() == counts.max()
        kept.append(int(counts[0]))

    assert kept == [7, 5, 2]


def test_shapes_alone_are_those_of_pruning_with_data(digits, digits_model):
    prunes = {"stem.0": Prune(0.5, criterion="gradient"), "stage2.0.conv1": Prune(0.25)}
    done, pruner = pruned(digits_model, prunes, workload=digits, multiple=8)
    shaped = copy.deepcopy(digits_model)

    Pruner(shaped, digits, policy_of(prunes), multiple=8).advance_like(pruner.removed_blocks)
    shaped.load_state_dict(done.state_dict())

    assert same_state(shaped, done)
    inputs = next(digits.batches("validation", 8))[0]
    assert torch.equal(shaped(*inputs), done(*inputs))


def test_a_pattern_counts_the_rows_that_channels_leave_behind(digits, digits_model):
    fits = {"stage1.0.conv1": Prune(0.5), "stage1.0.conv2": Prune(0.5, "2:4")}
    _, pruner = pruned(digits_model, fits, workload=digits)
    blocks = pruner.masks["stage1.0.conv2.weight"].flatten(1).reshape(64, 32 * 9 // 4, 4)
    assert (blocks.sum(-1) == 2).all()

    with pytest.raises(InvalidPolicy, match="reads 297 weights, which 4 does not divide") as caught:
        pruned(digits_model, fits | {"stage1.0.conv1": Prune(0.49)}, workload=digits)
    assert caught.value.faults[0].pointer == "/layers/stage1.0.conv2/prune/granularity"


@pytest.mark.parametrize(
    ("make", "name", "prune", "says"),
    [
        (Mlp, "nowhere", Prune(0.5, "weight"), "layer 'nowhere' does not exist; the model has first, second"),
        (Depthwise, "expand", Prune(0.5, "weight"), "layer 'expand' is no layer with weights"),
        (Depthwise, "expand.1", Prune(0.5, "2:4"), "'expand.1' is no layer with weights"),
        (Depthwise, "depthwise.0", Prune(0.5), "coupled to 'expand.0'; the ratio stands there"),
        (Depthwise, "out", Prune(0.5), "its channels are the model's output"),
        (
            Depthwise,
            "expand",
            Prune(0.5),
            "no layer 'expand' that could be pruned by 'channel'; it has stem.0",
        ),
        (Mlp, "second", Prune(0.5, "layer"), "'second' is no container of repeated blocks"),
        (Tied, "tied", Prune(0.5, "weight"), "tied to 'body'; leave both"),
        (Tied, "body", Prune(0.5), "tied to 'tied'"),
        (Depthwise, "stem.0", Prune(0.5, "2:4"), "reads 9 weights, which 4 does not divide"),
        (Mlp, "second", Prune(0.5, "weight", "bn_scale"), "'bn_scale' ranks channels, not 'weight'"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(make, name, prune, says):
    model = made(make)
    before = copy.deepcopy(model)

    with pytest.raises(InvalidPolicy) as caught:
        Pruner(model, Plain(model), policy_of({name: prune}), multiple=1)

    assert says in str(caught.value)
    assert caught.value.faults[0].pointer.startswith(f"/layers/{name}/prune")
    assert same_state(model, before)


def test_all_entries_that_do_not_fit_are_named_at_once():
    prunes = {"nowhere": Prune(0.5, "weight"), "out": Prune(0.5)}

    with pytest.raises(InvalidPolicy) as caught:
        Pruner(made(Mlp), Plain(None), policy_of(prunes), multiple=1)

    assert [fault.pointer for fault in caught.value.faults] == ["/layers/nowhere/prune", "/layers/out/prune"]


def test_a_weight_that_is_computed_from_others_is_refused():
    model = made(Mlp)
    nn.utils.parametrizations.weight_norm(model.second)

    with pytest.raises(InvalidPolicy, match="'second' is computed from other parameters"):
        Pruner(model, Plain(model), policy_of({"second": Prune(0.5, "weight")}), multiple=1)


def test_batch_norm_scales_need_a_normalization():
    model = made(Concatenating)

    with pytest.raises(CompressionError, match="'left': criterion 'bn_scale' needs a normalization layer"):
        Pruner(model, Plain(model), policy_of({"left": Prune(0.5, criterion="bn_scale")}), multiple=1)


def test_informed_criteria_keep_more_accuracy_than_chance(digits, digits_model):
    def kept(criterion, seed=0):
        prunes = {"stage1.0.conv1": Prune(0.5, criterion=criterion)}
        return accuracy(digits, pruned(digits_model, prunes, workload=digits, seed=seed)[0])

    chance = np.mean([kept("random", seed) for seed in range(6)])

    for criterion in ("l1", "l2", "gradient", "taylor", "bn_scale"):
        assert kept(criterion) > chance + 0.05, criterion


def test_small_weights_cost_less_accuracy_than_random_ones(digits, digits_model):
    def kept(criterion):
        prunes = {name: Prune(0.3, "weight", criterion) for name in CONVS}
        return accuracy(digits, pruned(digits_model, prunes, workload=digits)[0])

    assert kept("l1") > kept("random") + 0.2
    assert kept("gradient") > kept("random") + 0.2
