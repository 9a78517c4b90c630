import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compression import Deployment, shape_model, take_inventory
from compression.channels import ChannelGraph, channel_groups
from spaces import CompressionError, InvalidPolicy, LayerPolicy, Policy, Prune, kept_channels
from tests.models import MODELS, Concatenating, Depthwise, Features, Flattening

INPUTS = (torch.zeros(1, 1, 8, 8),)
EXACT = Deployment(channel_multiple=1)


def pruned(digits, model, ratios, deployment=EXACT):
    policy = Policy(layers={name: LayerPolicy(Prune(ratio)) for name, ratio in ratios.items()})
    return shape_model(digits, model, policy, deployment=deployment, seed=0)


def outputs_of(model):
    outputs = model(*INPUTS)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def groups_of(model):
    return {group.leader: group for group in channel_groups(model, INPUTS)}


def test_residual_sums_couple_the_layers_that_are_added(digits, digits_model):
    groups = {
        group.leader: group.layers for group in take_inventory(digits_model, digits.example_inputs()).groups
    }

    assert groups["stem.0"] == ("stem.0", "stage1.0.conv2", "stage1.1.conv2")
    assert groups["stage2.0.conv2"] == ("stage2.0.conv2", "stage2.0.shortcut.0", "stage2.1.conv2")
    assert groups["stage1.0.conv1"] == ("stage1.0.conv1",)


def test_a_depthwise_layer_belongs_to_the_layer_before_it():
    assert groups_of(Depthwise())["expand.0"].layers == ("expand.0", "depthwise.0")
    assert groups_of(Depthwise())["stem.0"].layers == ("stem.0", "project.0")


def test_branches_that_are_concatenated_are_pruned_each_for_itself():
    groups = groups_of(Concatenating())

    assert groups["left"].layers == ("left",)
    assert groups["right"].layers == ("right",)


def test_the_models_output_is_fixed_and_says_why():
    for make in MODELS:
        last = list(groups_of(make()).values())[-1]
        assert last.fixed_because == "its channels are the model's output"


@pytest.mark.parametrize("make", MODELS)
def test_every_group_that_is_not_fixed_can_lose_channels_and_the_model_still_runs(make):
    reference = make().eval()
    for group in channel_groups(reference, INPUTS):
        if group.fixed_because is None:
            model = copy.deepcopy(reference)
            ChannelGraph(model, INPUTS).remove(group.leader, group.units // 2, "l1", torch.Generator())
            assert dict(model.named_modules())[group.leader].weight.shape[0] == group.units - group.units // 2
            model(torch.rand(3, 1, 8, 8))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_channels_that_remain_are_those_that_the_policy_says(digits, digits_model, data):
    inventory = take_inventory(digits_model, digits.example_inputs())
    prunable = [group for group in inventory.groups if group.fixed_because is None]
    multiple = data.draw(st.sampled_from([1, 4, 8]))
    ratios = {group.leader: data.draw(st.floats(0, 0.95)) for group in prunable}

    model = pruned(digits, digits_model, ratios, Deployment(channel_multiple=multiple))

    modules = dict(model.named_modules())
    for group in prunable:
        expected = kept_channels(group.units, ratios[group.leader], multiple)
        assert {modules[name].weight.shape[0] for name in group.layers} == {expected}
    assert model(torch.rand(2, 1, 8, 8)).shape == (2, 10)


def test_the_channels_with_the_least_l1_norm_go():
    model = Flattening().eval()
    with torch.no_grad():
        norms = model.a_1.weight.abs().sum((1, 2, 3), keepdim=True)
        model.a_1.weight.mul_(torch.linspace(16, 1, 16).reshape(-1, 1, 1, 1) / norms)
        model.Zwei.weight.fill_(0.01)
    strongest = model.a_1.weight[:10].clone()

    ChannelGraph(model, INPUTS).remove("a_1", 6, "l1", torch.Generator())

    norms = strongest.abs().sum((1, 2, 3))
    assert torch.allclose(model.a_1.weight.abs().sum((1, 2, 3)).sort().values, norms.sort().values)


def test_every_output_of_a_model_keeps_its_channels():
    groups = groups_of(Features())

    assert groups["body"].fixed_because == "its channels are the model's output"
    assert groups["stem"].fixed_because is None


@pytest.mark.parametrize("make", MODELS)
def test_a_group_is_fixed_if_and_only_if_cutting_its_layers_by_hand_breaks_the_model(make):
    """Brute force: one output channel of each member goes, and the layers after them lose what they read."""
    reference = make().eval()
    shapes = [output.shape for output in outputs_of(reference)]
    for group in channel_groups(reference, INPUTS):
        model = copy.deepcopy(reference)
        try:
            ChannelGraph(model, INPUTS).remove(group.leader, 1, "l1", torch.Generator())
            still = [output.shape for output in outputs_of(model)] == shapes
        except RuntimeError:
            still = False
        assert still == (group.fixed_because is None), group


def test_a_ratio_of_zero_changes_nothing_to_the_bit(digits, digits_model):
    model = pruned(digits, digits_model, {"stem.0": 0.0})

    state = digits_model.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "prune", "says"),
    [
        ("stage1.0.conv2", Prune(0.5), "coupled to 'stem.0'"),
        ("head", Prune(0.5), "the model's output"),
        ("nowhere", Prune(0.5), "no layer 'nowhere'"),
        ("stem.0", Prune(0.5, granularity="2:4"), "'2:4' cannot be applied"),
    ],
)
def test_what_cannot_be_pruned_is_refused_by_name(digits, digits_model, name, prune, says):
    policy = Policy(layers={name: LayerPolicy(prune)})

    with pytest.raises(InvalidPolicy, match=says) as caught:
        shape_model(digits, digits_model, policy, deployment=EXACT, seed=0)

    assert caught.value.faults[0].pointer.startswith(f"/layers/{name}")


def test_a_criterion_that_channels_do_not_have_is_refused(digits, digits_model):
    policy = Policy(layers={"stem.0": LayerPolicy(Prune(0.5, criterion="gradient"))})

    with pytest.raises(CompressionError, match="'gradient'"):
        shape_model(digits, digits_model, policy, deployment=EXACT, seed=0)


def test_random_channels_follow_the_seed(digits, digits_model):
    policy = Policy(layers={"stem.0": LayerPolicy(Prune(0.5, criterion="random"))})

    def stem(seed):
        model = shape_model(digits, digits_model, policy, deployment=EXACT, seed=seed)
        return model.stem[0].weight

    assert torch.equal(stem(1), stem(1))
    assert not torch.equal(stem(1), stem(2))


def test_a_layer_that_is_called_twice_counts_its_work_twice(digits):
    from tests.models import Reusing

    layers = {layer.name: layer for layer in take_inventory(Reusing(), digits.example_inputs()).layers}

    assert layers["shared"].macs == 2 * 16 * 16 * 9 * 64
    assert layers["stem"].macs == 16 * 9 * 64
