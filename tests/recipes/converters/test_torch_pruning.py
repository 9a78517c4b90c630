import copy
import json
import pydoc

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from compression import shape
from recipes import convert
from recipes.converters.torch_pruning import _exact_ratio
from spaces import ActivationFormat, LayerPolicy, Policy, Prune, PruneGroup, Student, WeightFormat
from tests.models import Around, Depthwise
from tests.recipes.converters.cases import DEPLOYMENT, STATIC, Applied, losses_by_layer
from tests.recipes.samples import recipe
from tests.strategies import PROPERTY


def run_tool(text, model, inputs):
    document = json.loads(text)
    pruned = copy.deepcopy(model)
    importance = document["importance"]["arguments"]
    importance["target_types"] = [pydoc.locate(name) for name in importance["target_types"]]
    arguments = document["pruner"]["arguments"]
    arguments["pruning_ratio_dict"] = {
        pruned.get_submodule(name): ratio for name, ratio in arguments["pruning_ratio_dict"].items()
    }
    importance_class = pydoc.locate(document["importance"]["class"])
    pydoc.locate(document["pruner"]["class"])(
        pruned, inputs, importance_class(**importance), **arguments
    ).step()
    return pruned


def shapes(model):
    return {name: tuple(weight.shape) for name, weight in model.named_parameters()}


@pytest.mark.parametrize("criterion", ["l1", "l2"])
def test_the_tool_removes_the_very_channels_that_the_policy_removes(
    digits, digits_model, criterion, tmp_path
):
    layers = {
        "stem.0": LayerPolicy(Prune(0.3, criterion=criterion)),
        "stage1.1.conv1": LayerPolicy(Prune(0.55, criterion=criterion)),
        "stage2.0.conv2": LayerPolicy(Prune(0.25, criterion=criterion)),
    }
    policy = Policy(layers=layers)
    applied = Applied(digits, digits_model, policy, tmp_path)

    made = run_tool(applied.convert("torch-pruning").text, digits_model, digits.example_inputs())

    assert shapes(made) == shapes(applied.model) != shapes(digits_model)
    for name, weight in applied.model.state_dict().items():
        torch.testing.assert_close(made.state_dict()[name], weight, msg=name)
    assert applied.is_as_claimed(applied.accuracy_of_model(made))


def test_depthwise_layers_follow(digits):
    workload = Around(digits, Depthwise, epochs=0)
    model = workload.model()
    policy = Policy(layers={"expand.0": LayerPolicy(Prune(0.5))})
    from compression import take_inventory

    text = convert(
        recipe(policy, deployment=DEPLOYMENT.to_dict()),
        "torch-pruning",
        take_inventory(model, workload.example_inputs()),
    ).text
    made = run_tool(text, model, workload.example_inputs())

    expected = shape(workload, model, policy, deployment=DEPLOYMENT, seed=0).model
    assert shapes(made) == shapes(expected)
    assert made.depthwise[0].weight.shape[0] == 24


@PROPERTY
@given(st.integers(1, 4096), st.floats(0, 1, exclude_max=True), st.sampled_from((1, 4, 8)))
def test_the_tool_keeps_as_many_channels_as_the_policy(channels, ratio, multiple):
    group = PruneGroup("a", ("a",), channels)

    exact = _exact_ratio(group, Prune(ratio), multiple)

    assert int(channels * (1 - exact)) == group.kept(ratio, multiple)  # torch-pruning 1.6.1's count


def test_what_it_cannot_say_is_left_out_and_named(digits, digits_model):
    from compression import take_inventory

    policy = Policy(
        Student(width=0.5),
        {
            "stem.0": LayerPolicy(Prune(0.5)),
            "stage1.0.conv1": LayerPolicy(Prune(0.5, criterion="taylor")),
            "stage1.0.conv2": LayerPolicy(Prune(0.5, "2:4")),
            "stage1": LayerPolicy(Prune(0.5, "layer")),
            "head": STATIC,
            "stage2.0.conv1": LayerPolicy(Prune(0.25), WeightFormat(4), ActivationFormat(8, "static")),
        },
    )

    conversion = convert(
        recipe(policy), "torch-pruning", take_inventory(digits_model, digits.example_inputs())
    )

    assert losses_by_layer(conversion) == {
        (None, "student"),
        ("stage1", "prune"),
        ("stage1.0.conv1", "prune"),
        ("stage1.0.conv2", "prune"),
        ("head", "weight"),
        ("stage2.0.conv1", "weight"),
    }
    ratios = json.loads(conversion.text)["pruner"]["arguments"]["pruning_ratio_dict"]
    assert list(ratios) == ["stage2.0.conv1", "stem.0"]
