import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from compression import Deployment, shape, take_inventory
from compression.channels import channel_groups, shrink_width, weakest_channels
from compression.dependencies import ChannelGraph
from compression.importance import magnitudes
from spaces import InvalidPolicy, LayerPolicy, Policy, Prune, kept_channels
from tests.models import MODELS, Attention, Concatenating, Depthwise, Features, Flattening, Grouped, Tied
from tests.networks_p import RandomNet

INPUTS = (torch.zeros(1, 1, 8, 8),)
EXACT = Deployment(channel_multiple=1)


def pruned(digits, model, ratios, deployment=EXACT):
    policy = Policy(layers={name: LayerPolicy(Prune(ratio)) for name, ratio in ratios.items()})
    return shape(digits, model, policy, deployment=deployment, seed=0).model


def cut(model, leader, count):
    """Removes a group's channels with the least L1 norms."""
    graph = ChannelGraph(model, INPUTS)
    graph.remove(leader, weakest_channels(graph, leader, count, magnitudes(model), "l1"))


def outputs_of(model):
    outputs = model(*INPUTS)
    return outputs if isinstance(outputs, tuple) else (outputs,)


@pytest.fixture(scope="module")
def inventory(digits, digits_model):
    return take_inventory(digits_model, digits.example_inputs())


def groups_of(model):
    return {group.leader: group for group in channel_groups(model, INPUTS)}


def test_residual_sums_couple_the_layers_that_are_added(inventory):
    groups = {group.leader: group.layers for group in inventory.groups}

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
            cut(model, group.leader, group.units // 2)
            assert dict(model.named_modules())[group.leader].weight.shape[0] == group.units - group.units // 2
            model(torch.rand(3, 1, 8, 8))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_channels_that_remain_are_those_that_the_policy_says(digits, digits_model, inventory, data):
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

    cut(model, "a_1", 6)

    norms = strongest.abs().sum((1, 2, 3))
    assert torch.allclose(model.a_1.weight.abs().sum((1, 2, 3)).sort().values, norms.sort().values)


def test_every_output_of_a_model_keeps_its_channels():
    groups = groups_of(Features())

    assert groups["body"].fixed_because == "its channels are the model's output"
    assert groups["stem"].fixed_because is None


@pytest.mark.parametrize("make", MODELS)
def test_a_free_group_can_be_cut_and_one_that_is_the_output_cannot(make):
    reference = make().eval()
    shapes = [output.shape for output in outputs_of(reference)]
    for group in channel_groups(reference, INPUTS):
        if group.fixed_because not in {None, "its channels are the model's output"}:
            continue
        model = copy.deepcopy(reference)
        cut(model, group.leader, group.multiple)
        try:
            still = [output.shape for output in outputs_of(model)] == shapes
        except RuntimeError:
            still = False
        assert still == (group.fixed_because is None), group


def test_tied_weights_are_fixed_by_name_with_all_that_reads_them():
    reasons = {leader: group.fixed_because for leader, group in groups_of(Tied()).items()}

    assert reasons["stem"] == "the weight of 'body' is tied to 'tied'"
    assert reasons["tied"] == "the weight of 'tied' is tied to 'body'"


def test_groups_of_excluded_layers_are_left_out():
    leaders = [group.leader for group in channel_groups(Attention(), INPUTS, exclude={"key"})]

    assert leaders == ["embed", "up", "out"]


def test_sums_with_concatenations_are_fixed_as_one_group():
    groups = groups_of(RandomNet((("add-concat", 6), ("conv", 4))))

    assert groups["stem"].layers == ("stem", "layers.s0.a.0", "layers.s0.b.0")
    assert groups["stem"].fixed_because == "its channels are coupled to only some of those of 'layers.s0.a.0'"
    assert groups["layers.s1.a.0"].fixed_because is None


@pytest.mark.parametrize("criterion", ["l1", "l2"])
def test_a_channels_score_adds_rows_and_columns_of_all_that_goes_with_it(criterion):
    model = Depthwise()
    size = {"l1": torch.abs, "l2": torch.square}[criterion]
    rows, depth, columns = (
        layer[0].weight.detach() for layer in (model.expand, model.depthwise, model.project)
    )
    by_hand = [
        float(size(rows[c]).sum() + size(depth[c]).sum() + size(columns[:, c]).sum()) for c in range(48)
    ]
    expected = sorted(sorted(range(48), key=by_hand.__getitem__)[:20])

    graph = ChannelGraph(model, INPUTS)

    assert weakest_channels(graph, "expand.0", 20, magnitudes(model, criterion), criterion) == expected


def test_a_flattened_channels_score_adds_all_its_columns():
    model = Flattening()
    columns = model.last_one.weight.reshape(32, 32, 16).abs().sum((0, 2))
    scores = model.Zwei.weight.abs().sum((1, 2, 3)) + columns

    weakest = weakest_channels(ChannelGraph(model, INPUTS), "Zwei", 9, magnitudes(model), "l1")

    assert weakest == sorted(scores.argsort()[:9].tolist())


def test_the_weakest_places_of_a_grouped_convolution_are_those_of_all_its_groups_together():
    model = Grouped()
    stem, grouped = model.stem.weight.detach().abs(), model.grouped.weight.detach().abs()
    by_hand = [
        sum(
            float(stem[part * 8 + place].sum() + grouped[part * 8 : part * 8 + 8, place].sum())
            for part in range(4)
        )
        for place in range(8)
    ]
    expected = sorted(sorted(range(8), key=by_hand.__getitem__)[:3])

    weakest = weakest_channels(ChannelGraph(model, INPUTS), "stem", 12, magnitudes(model), "l1")

    assert weakest == [part * 8 + place for part in range(4) for place in expected]


def test_batch_norm_scales_rank_channels_of_all_their_normalizations():
    model = Depthwise()
    for norm in (model.expand[1], model.depthwise[1]):
        nn.init.uniform_(norm.weight, -1, 1)
    scales = model.expand[1].weight.abs() + model.depthwise[1].weight.abs()

    graph = ChannelGraph(model, INPUTS)
    weakest = weakest_channels(graph, "expand.0", 10, magnitudes(model, "bn_scale"), "bn_scale")

    assert weakest == sorted(scales.argsort()[:10].tolist())


@pytest.mark.parametrize("width", [0.25, 0.5, 0.8])
@pytest.mark.parametrize("make", [Depthwise, Grouped, Concatenating, Flattening])
def test_a_narrow_student_keeps_the_same_share_of_every_free_group(make, width):
    reference = make().eval()
    model = copy.deepcopy(reference)

    shrink_width(model, INPUTS, width, multiple=4)

    for group in channel_groups(reference, INPUTS):
        kept = group.units if group.fixed_because else group.kept(1 - width, 4)
        assert model.get_submodule(group.leader).weight.shape[0] == kept


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
    ],
)
def test_what_cannot_be_pruned_is_refused_by_name(digits, digits_model, name, prune, says):
    policy = Policy(layers={name: LayerPolicy(prune)})

    with pytest.raises(InvalidPolicy, match=says) as caught:
        shape(digits, digits_model, policy, deployment=EXACT, seed=0)

    assert caught.value.faults[0].pointer.startswith(f"/layers/{name}")


def test_random_channels_follow_the_seed(digits, digits_model):
    policy = Policy(layers={"stem.0": LayerPolicy(Prune(0.5, criterion="random"))})

    def stem(seed):
        model = shape(digits, digits_model, policy, deployment=EXACT, seed=seed).model
        return model.stem[0].weight

    assert torch.equal(stem(1), stem(1))
    assert not torch.equal(stem(1), stem(2))


def test_a_layer_that_is_called_twice_counts_its_work_twice(digits):
    from tests.models import Reusing

    layers = {layer.name: layer for layer in take_inventory(Reusing(), digits.example_inputs()).layers}

    assert layers["shared"].macs == 2 * 16 * 16 * 9 * 64
    assert layers["stem"].macs == 16 * 9 * 64


def test_weights_whose_channels_are_last_in_memory_stay_so(digits, digits_model):
    model = copy.deepcopy(digits_model).to(memory_format=torch.channels_last)

    narrow = pruned(digits, model, {"stem.0": 0.5, "stage1.0.conv1": 0.5})

    convs = {name: module.weight for name, module in narrow.named_modules() if isinstance(module, nn.Conv2d)}
    assert convs["stage1.0.conv1"].shape == (32, 32, 3, 3)
    for name, weight in convs.items():
        assert weight.is_contiguous(memory_format=torch.channels_last), name
    plain = pruned(digits, digits_model, {"stem.0": 0.5, "stage1.0.conv1": 0.5})
    assert all(torch.equal(plain.get_submodule(name).weight, weight) for name, weight in convs.items())
    assert plain.stem[0].weight.is_contiguous()
