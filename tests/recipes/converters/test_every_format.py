"""What holds for every format: each part of a policy is said or reported as lost, and never both."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recipes import CONVERTERS, FORMATS, convert
from spaces import (
    ActivationFormat,
    InvalidRecipe,
    LayerInfo,
    LayerInventory,
    LayerPolicy,
    Policy,
    Prune,
    PruneGroup,
    Recovery,
    Student,
    UnknownName,
    WeightFormat,
)
from tests.recipes.samples import recipe
from tests.strategies import PROPERTY, activation_formats, prunes, weight_formats

OPS = {
    "one": "conv",
    "two": "depthwise-conv",
    "three": "linear",
    "four": "linear",
    "five": "embedding",
    "six": "lstm",
    "seven": "gru",
}
INVENTORY = LayerInventory(
    tuple(LayerInfo(name, op, (64, 64), 10, 10) for name, op in OPS.items()),
    tuple(PruneGroup(name, (name,), 64) for name in ("one", "three", "four")),
)
QUANTIZERS = [name for name in FORMATS if name not in {"tauten", "torch-pruning", "deployment-notes"}]
PARSERS = {
    ".json": json.loads,
    ".yaml": yaml.safe_load,
    ".py": lambda text: compile(text, "recipe.py", "exec"),
}
quantized = st.builds(
    LayerPolicy, weight=st.none() | weight_formats, activation=st.none() | activation_formats
)
policies = st.dictionaries(st.sampled_from(list(OPS)), quantized).map(lambda layers: Policy(layers=layers))
LOSSY = Policy(
    Student(width=0.5),
    {"one": LayerPolicy(Prune(0.5)), "three": LayerPolicy(Prune(0.5, "2:4"))},
    Recovery(2.0, bias_correction=True),
)


def test_the_registry_names_every_converter():
    assert tuple(CONVERTERS) == FORMATS == tuple(sorted(FORMATS))


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(UnknownName, match="unknown format 'stone'; choose one of: aimet, "):
        convert(recipe(), "stone", INVENTORY)


@pytest.mark.parametrize("name", FORMATS)
@PROPERTY
@given(policy=policies)
def test_the_text_parses_and_is_the_same_for_the_same_recipe(name, policy):
    first, second = (convert(recipe(policy), name, INVENTORY) for _ in range(2))

    PARSERS.get(CONVERTERS[name].suffix, str)(first.text)
    assert first == second
    assert first.text.endswith("\n")
    assert json.loads(json.dumps(first.report()))["complete"] == (not first.losses)


@pytest.mark.parametrize("name", [name for name in QUANTIZERS if name != "aimet"])
@PROPERTY
@given(policy=policies)
def test_a_quantized_layer_is_said_or_lost_and_one_in_float_is_neither(name, policy):
    conversion = convert(recipe(policy), name, INVENTORY)

    lost = [loss.layer for loss in conversion.losses if loss.layer is not None]
    said = "\n".join(line for line in conversion.text.splitlines() if not line.startswith("# Left out"))
    for layer in OPS:
        known = policy.layers.get(layer)
        is_asked = known is not None and known.is_quantized
        assert (layer in said) + lost.count(layer) == int(is_asked), layer


@pytest.mark.parametrize("name", QUANTIZERS)
def test_what_comes_before_quantization_is_lost_with_what_to_do(name):
    losses = convert(recipe(LOSSY), name, INVENTORY).losses

    found = [(loss.layer, loss.part) for loss in losses]
    assert found == [
        (None, "student"),
        ("one", "prune"),
        ("three", "prune"),
        (None, "recovery"),
        (None, "recovery"),
    ]
    assert all(loss.remedy for loss in losses)


@PROPERTY
@given(st.dictionaries(st.sampled_from(list(OPS)), st.builds(LayerPolicy, prunes)))
def test_a_pruned_layer_is_said_or_lost(layers):
    policy = Policy(layers=layers)

    conversion = convert(recipe(policy), "torch-pruning", INVENTORY)

    ratios = json.loads(conversion.text)["pruner"]["arguments"]["pruning_ratio_dict"]
    asked = {name for name, layer in policy.layers.items() if not layer.prune.is_empty}
    assert set(ratios) | {loss.layer for loss in conversion.losses} == asked
    assert not set(ratios) & {loss.layer for loss in conversion.losses}


def test_aimet_says_a_type_only_where_all_its_layers_agree():
    int8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
    both, one = {"three": int8, "four": int8}, {"three": int8, "one": int8, "two": int8}

    agreed = convert(recipe(Policy(layers=both)), "aimet", INVENTORY)
    disagreed = convert(recipe(Policy(layers=one)), "aimet", INVENTORY)

    assert set(json.loads(agreed.text)["op_type"]) == {"Gemm", "MatMul"}
    assert agreed.losses == ()
    assert set(json.loads(disagreed.text)["op_type"]) == {"Conv"}
    assert [loss.layer for loss in disagreed.losses] == ["three"]


def test_notes_count_every_layer_and_say_that_nothing_was_run():
    layers = {
        "three": LayerPolicy(weight=WeightFormat(4, "group", 32)),
        "one": LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static")),
    }

    text = convert(recipe(Policy(layers=layers)), "deployment-notes", INVENTORY).text

    assert "**none of this was run**" in text
    assert (
        "| 4-bit symmetric weights by group of 32, float activations | 1 | `--tensor-type NAME=q4_0` |"
        in text
    )
    assert "| float | 5 | leave as they are |" in text
    assert "explicit quantization: Q/DQ with INT8" in text


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "tauten"])
def test_layers_that_the_model_lacks_are_refused_together(name):
    policy = Policy(layers={"gone": LayerPolicy(Prune(0.5)), "lost": LayerPolicy(Prune(0.5))})

    with pytest.raises(InvalidRecipe) as caught:
        convert(recipe(policy), name, INVENTORY)

    assert [fault.pointer for fault in caught.value.faults] == ["/policy/layers/gone", "/policy/layers/lost"]


def test_patterns_are_written_out_for_the_model():
    policy = Policy(layers={"re:th.*|fo.*": LayerPolicy(weight=WeightFormat(8))})

    entries = json.loads(convert(recipe(policy), "torchao", INVENTORY).text)["_data"]["fqn_to_config"]

    assert list(entries) == ["three", "four"]
