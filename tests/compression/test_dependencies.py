import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from compression.channels import channel_groups
from compression.dependencies import ChannelGraph
from spaces import CompressionError
from tests.models import Concatenating, Grouped
from tests.networks_p import KINDS, Chunking, FusedAttention, Narrowing, Recurrent, Transposing, random_nets

INPUTS = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)),)
WITHOUT_NORM = tuple(kind for kind in KINDS if kind != "norm")


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Networks this small are many times slower on two threads of a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def groups_of(make):
    torch.manual_seed(0)
    return {group.leader: group for group in channel_groups(make().eval(), INPUTS)}


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


def drawn_channels(data, group):
    """Some channels of a group that can go together."""
    width = group.units // group.multiple
    places = data.draw(st.sets(st.integers(0, width - 1), min_size=1, max_size=width - 1))
    return [part * width + place for part in range(group.multiple) for place in places]


def silenced(model, group, channels):
    """The model with these channels zero after every layer that makes them: no layer that reads them is touched."""
    model = copy.deepcopy(model)
    for name in group.layers:
        layer = model.get_submodule(name)
        if name.endswith(".0"):  # convolution, then BatchNorm
            layer = model.get_submodule(name[:-1] + "1")
        with torch.no_grad():
            layer.weight[channels] = 0
            layer.bias[channels] = 0
    return model


@settings(max_examples=15, deadline=None)
@given(net=random_nets(WITHOUT_NORM), data=st.data())
def test_cutting_channels_computes_what_silencing_them_does(net, data):
    free = [group for group in channel_groups(net, INPUTS) if group.fixed_because is None]
    assume(free)
    group = data.draw(st.sampled_from(free))
    channels = drawn_channels(data, group)
    expected = silenced(net, group, channels)(*INPUTS)

    cut = copy.deepcopy(net)
    ChannelGraph(cut, INPUTS).remove(group.leader, channels)

    torch.testing.assert_close(cut(*INPUTS), expected, rtol=1e-4, atol=1e-4)
    for name in group.layers:
        assert cut.get_submodule(name).weight.shape[0] == group.units - len(channels)
    assert parameters(cut) < parameters(net)


@settings(max_examples=15, deadline=None)
@given(net=random_nets())
def test_every_layer_is_in_one_group_and_all_free_groups_can_be_cut_one_after_another(net):
    groups = channel_groups(net, INPUTS)
    layers = [name for group in groups for name in group.layers]

    assert len(layers) == len(set(layers))
    assert set(layers) == {n for n, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    graph = ChannelGraph(net, INPUTS)
    for group in groups:
        if group.fixed_because is None:
            width = group.units // group.multiple
            graph.remove(group.leader, [part * width for part in range(group.multiple)])
            assert net(*INPUTS).shape == (2, 5)
            assert net.get_submodule(group.leader).weight.shape[0] == group.units - group.multiple


def test_channels_of_a_grouped_convolution_go_from_all_its_groups_alike():
    groups = groups_of(Grouped)
    assert (groups["stem"].multiple, groups["grouped"].multiple) == (4, 4)
    model = Grouped().eval()
    before = model.grouped.weight.detach().clone()

    ChannelGraph(model, INPUTS).remove("stem", [3, 11, 19, 27])

    assert model.stem.weight.shape[0] == 28
    assert torch.equal(model.grouped.weight, before[:, [0, 1, 2, 4, 5, 6, 7]])


@pytest.mark.parametrize("channels", [[0], [0, 1, 2, 3], [0, 9, 16, 24]])
def test_other_channels_of_a_grouped_convolution_are_refused(channels):
    with pytest.raises(CompressionError, match="'grouped' has 4 groups"):
        ChannelGraph(Grouped(), INPUTS).remove("stem", channels)


def test_a_layer_keeps_at_least_one_channel():
    model = Concatenating()
    with pytest.raises(CompressionError, match="'left' has 16 channels and cannot lose 16"):
        ChannelGraph(model, INPUTS).remove("left", range(16))

    ChannelGraph(model, INPUTS).remove("left", range(15))
    assert model.left.weight.shape[0] == 1


def test_no_channels_to_remove_change_nothing():
    model = Concatenating()
    before = copy.deepcopy(model.state_dict())

    ChannelGraph(model, INPUTS).remove("left", [])

    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_frozen_parameters_stay_frozen_when_they_are_cut():
    model = Concatenating()
    model.left.weight.requires_grad_(False)

    ChannelGraph(model, INPUTS).remove("left", [0])

    assert not model.left.weight.requires_grad
    assert model.right.weight.requires_grad


@pytest.mark.parametrize(
    ("make", "leader", "says"),
    [
        (Transposing, "conv", "do not take its channels one by one"),
        (FusedAttention, "qkv", "only some of its channels reach 'mix'"),
        (Chunking, "both", "only some of those of 'after'"),
        (Recurrent, "first", "pass through 'lstm', of type LSTM"),
        (Narrowing, "stem", "'narrow' is a depthwise convolution with fewer outputs than inputs"),
    ],
)
def test_channels_that_cannot_be_followed_are_fixed_and_say_why(make, leader, says):
    assert says in groups_of(make)[leader].fixed_because


def test_the_width_of_a_transformer_is_one_group():
    groups = groups_of(FusedAttention)

    assert groups["embed"].layers == ("embed", "mix", "down")
    assert groups["embed"].fixed_because is None
    assert groups["up"].fixed_because is None


def test_following_channels_leaves_the_model_as_it_was():
    model = FusedAttention().eval()
    before = copy.deepcopy(model.state_dict())

    assert ChannelGraph(model, INPUTS).follows("embed")

    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
