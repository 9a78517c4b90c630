import copy

import pytest
import torch

from compression import Deployment, shape, take_inventory
from compression.pruned_copies import PrunedCopies
from compression.pruning import Pruner
from spaces import CompressionError, InvalidPolicy, LayerPolicy, Policy, Prune
from tests.compression.test_pruning_whole import Encoder
from tests.models import Attention, Concatenating, Depthwise, Flattening, Grouped
from tests.networks_p import Plain

PLACES = ("stem.0", "stage1.0.conv1", "stage2.0.conv1", "stage2.0.conv2")


@pytest.fixture(scope="module")
def copies(digits, digits_model):
    return PrunedCopies(digits_model, digits, PLACES, multiple=8)


@pytest.mark.parametrize("ratios", [(0.5, 0, 0.75, 0), (0.25, 0.5, 0.5, 0.75), (0, 0, 0, 0.1)])
def test_a_copy_is_the_model_that_a_policy_shapes(copies, digits, digits_model, ratios):
    asked = dict(zip(PLACES, ratios, strict=True))
    policy = Policy(None, {name: LayerPolicy(prune=Prune(ratio)) for name, ratio in asked.items() if ratio})
    expected = shape(digits, digits_model, policy, deployment=Deployment(8), seed=0).model

    found = copies.at(asked)

    assert found.state_dict().keys() == expected.state_dict().keys()
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    assert str(found) == str(expected)


def test_the_model_itself_stays_whole(copies, digits, digits_model):
    before = {name: tensor.clone() for name, tensor in digits_model.state_dict().items()}
    copies.at(dict.fromkeys(PLACES, 0.75))

    assert all(torch.equal(tensor, before[name]) for name, tensor in digits_model.state_dict().items())


def test_a_place_that_leads_no_group_is_refused_by_name(copies, digits, digits_model):
    with pytest.raises(InvalidPolicy, match="leads no group"):
        PrunedCopies(digits_model, digits, ("stage9",))
    with pytest.raises(InvalidPolicy, match=r"stage2\.1\.conv1.*prepared"):
        copies.at({"stage2.1.conv1": 0.5})


def tokens():
    return torch.randint(0, 100, (8, 12), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("make", [Concatenating, Depthwise, Flattening, Attention, Encoder])
def test_every_kind_of_layer_is_cut_as_a_policy_cuts_it(make, digits):
    torch.manual_seed(0)
    model = make().eval()
    workload = Plain(model, tokens()) if make is Encoder else digits
    groups = [
        group
        for group in take_inventory(model, workload.example_inputs()).groups
        if group.fixed_because is None
    ]
    ratios = {group.leader: (0.5, 0.25, 0.75)[at % 3] for at, group in enumerate(groups)}
    prunes = {group.leader: Prune(ratios[group.leader], group.granularity) for group in groups}
    expected = copy.deepcopy(model)
    policy = Policy(None, {name: LayerPolicy(prune=prune) for name, prune in prunes.items()})
    Pruner(expected, workload, policy, multiple=1).advance()

    found = PrunedCopies(model, workload, tuple(ratios)).at(ratios).eval()

    assert ratios
    for name, tensor in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    inputs = workload.example_inputs()
    outputs, wanted = found(*inputs), expected.eval()(*inputs)
    for one, other in zip(*((x if isinstance(x, tuple) else (x,)) for x in (outputs, wanted)), strict=True):
        assert torch.equal(one, other)


def test_grouped_convolutions_are_left_to_whoever_divides_them(digits):
    with pytest.raises(CompressionError, match="grouped convolution"):
        PrunedCopies(Grouped().eval(), digits, ("stem",))
