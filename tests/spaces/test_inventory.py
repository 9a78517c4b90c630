import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import InvalidValue, LayerInfo, LayerInventory, PruneGroup, kept_channels
from tests.strategies import PROPERTY, attempted, damaged, documents, inventories


def brute_force_kept(channels, ratio, multiple):
    """The fewest channels that are a multiple (or all there were) and remove no more than the ratio says."""
    remaining = channels * (1 - Fraction(str(ratio)))
    return next(
        kept
        for kept in range(1, channels + 1)
        if kept >= remaining and (kept % multiple == 0 or kept == channels)
    )


@given(
    st.integers(1, 600),
    st.integers(0, 999).map(lambda thousandths: thousandths / 1000),
    st.sampled_from((1, 2, 4, 8, 16, 32)),
)
def test_kept_channels_are_the_fewest_that_remove_no_more_than_the_ratio(channels, ratio, multiple):
    assert kept_channels(channels, ratio, multiple) == brute_force_kept(channels, ratio, multiple)


@given(st.integers(1, 10**6), st.floats(0, 1, exclude_max=True), st.integers(1, 64))
def test_channels_never_vanish_nor_multiply(channels, ratio, multiple):
    assert 1 <= kept_channels(channels, ratio, multiple) <= channels
    assert kept_channels(channels, 0.0, multiple) == channels


def test_a_layer_with_fewer_channels_than_the_multiple_stays_whole():
    assert kept_channels(4, 0.75, 8) == 4
    assert kept_channels(10, 0.7, 1) == 3
    assert kept_channels(64, 0.02, 8) == 64


@PROPERTY
@given(inventories())
def test_json_brings_an_inventory_back(inventory):
    assert LayerInventory.from_dict(json.loads(json.dumps(inventory.to_dict()))) == inventory


@PROPERTY
@given(inventories())
def test_layers_and_groups_are_found_by_name(inventory):
    assert inventory.macs == 30 * len(inventory.layers)
    assert list(inventory.by_name) == [layer.name for layer in inventory.layers]
    for name in inventory.by_name:
        holding = [group for group in inventory.groups if name in group.layers]
        assert [inventory.group_of[name]] == holding if holding else name not in inventory.group_of


@PROPERTY
@given(documents | damaged(inventories().map(LayerInventory.to_dict)))
def test_any_json_is_an_inventory_or_an_invalid_value(document):
    inventory = attempted(LayerInventory.from_dict, document)

    if isinstance(inventory, LayerInventory):
        assert LayerInventory.from_dict(inventory.to_dict()) == inventory


def layer(name):
    return LayerInfo(name, "conv", (8, 3, 3, 3), 100, 224)


@pytest.mark.parametrize(
    ("layers", "groups", "pointer"),
    [
        ("aa", [], "/layers"),
        ("ab", [("a", "ax")], "/groups/0/layers/1"),
        ("ab", [("b", "ab")], "/groups/0/leader"),
        ("ab", [("a", "")], "/groups/0/leader"),
        ("ab", [("a", "ab"), ("b", "b")], "/groups/1/layers/0"),
        ("ab", [("a", "aa")], "/groups/0/layers/1"),
    ],
)
def test_an_inventory_that_contradicts_itself_is_refused(layers, groups, pointer):
    with pytest.raises(InvalidValue) as caught:
        LayerInventory(
            tuple(layer(name) for name in layers),
            tuple(PruneGroup(leader, tuple(members), 8) for leader, members in groups),
        )

    assert caught.value.faults[0].pointer == pointer


@pytest.mark.parametrize("shape", [["8"], [1.5], [None], "8", [True]])
def test_a_shape_is_of_whole_numbers(shape):
    document = {"layers": [layer("a").to_dict() | {"weight_shape": shape}], "groups": []}

    with pytest.raises(InvalidValue) as caught:
        LayerInventory.from_dict(document, "/inventory")

    assert caught.value.faults[0].pointer.startswith("/inventory/layers/0/weight_shape")
