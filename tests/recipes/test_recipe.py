from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recipes import Recipe
from spaces import InvalidRecipe, LayerPolicy, Metric, Policy, Prune
from tests.strategies import PROPERTY, documents, policies


def recipe(policy=None):
    return Recipe(
        policy=policy or Policy(layers={"stem": LayerPolicy(Prune(0.5))}),
        workload={"name": "digits-cnn", "model": "sha256:aa", "data": "sha256:bb"},
        target={"name": "local-cpu", "fingerprint": {"cpu": "a CPU", "vnni": False}},
        deployment={"channel_multiple": 8, "reduce_range": True, "opset": 17},
        seed=3,
        versions={"torch": "2.13.0"},
        claims={"accuracy": Metric(0.98, "fraction", low=0.97, high=0.99, split="validation")},
        reference={"accuracy": Metric(0.99, "fraction")},
        artifact={"digest": "sha256:cc", "size_bytes": 1234},
        origin={"job": "abc", "trial": 17},
    )


@PROPERTY
@given(policies)
def test_a_recipe_survives_its_file(policy):
    written = recipe(policy)

    read = Recipe.from_yaml(written.to_yaml())

    assert read == written
    assert read.to_yaml() == written.to_yaml()


def test_equal_recipes_have_the_same_text_whatever_order_they_were_put_together_in():
    one = recipe()
    document = one.to_dict()
    turned = {
        key: dict(reversed(part.items())) if isinstance(part, dict) else part
        for key, part in document.items()
    }
    turned["target"]["fingerprint"] = {"vnni": False, "cpu": "a CPU"}

    other = Recipe.from_dict(dict(reversed(turned.items())))

    assert other == one
    assert other.to_yaml() == one.to_yaml()


def test_a_recipe_repeats_what_stands_in_two_places():
    shared = {"cpu": "a CPU"}

    text = replace(recipe(), origin={"first": shared, "second": shared}).to_yaml()

    assert text == replace(recipe(), origin={"first": dict(shared), "second": dict(shared)}).to_yaml()


def test_what_a_recipe_is_stands_first_in_its_file():
    assert recipe().to_yaml().startswith("schema: tauten.recipe/1\npolicy:\n")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": "tauten.recipe/9"}, "/schema: 'tauten.recipe/9' is not one of: tauten.recipe/1"),
        ({"colour": "red"}, "/colour: is not a known field"),
        ({"seed": "three"}, "/seed: must be a whole number"),
        ({"policy_digest": "sha256:00"}, "/policy_digest: is sha256:00, but the policy's digest is"),
        ({"workload": {"name": "digits-cnn"}}, "/workload/model: is required"),
        ({"artifact": None}, "/artifact: is required"),
    ],
)
def test_a_file_that_is_wrong_names_the_field(change, says):
    text = yaml.safe_dump(recipe().to_dict() | change)

    with pytest.raises(InvalidRecipe) as caught:
        Recipe.from_yaml(text)

    assert str(caught.value).startswith(says)


def test_a_wrong_field_inside_the_policy_is_named_with_its_whole_pointer():
    document = recipe().to_dict()
    document["policy"]["layers"]["stem"]["prune"]["ratio"] = 2

    with pytest.raises(InvalidRecipe) as caught:
        Recipe.from_dict(document)

    assert caught.value.faults[0].pointer == "/policy/layers/stem/prune/ratio"


@pytest.mark.parametrize(
    "text",
    [
        "{unclosed",
        "- a\n- list\n",
        "",
        "42",
        "9" * 5000,
        "[" * 5000 + "]" * 5000,
        "schema: 2020-13-45",
        "schema: !!bool maybe",
        "schema: !!int ''",
        "schema: !!timestamp never",
        "schema: &loop [*loop]",
        "a: *nowhere",
        "? {a: 1}\n: 2",
        "\x00",
    ],
)
def test_what_is_no_recipe_is_refused_in_one_line(text):
    with pytest.raises(InvalidRecipe) as caught:
        Recipe.from_yaml(text)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.mkdir ['{made}']",
        "!!python/object/new:os.mkdir ['{made}']",
        "!!python/name:os.mkdir",
        "!!python/module:os",
    ],
)
def test_no_tag_of_a_file_runs_code(tmp_path, tag):
    made = tmp_path / "made"
    text = recipe().to_yaml().replace("seed: 3", f"seed: {tag.format(made=made)}")

    with pytest.raises(InvalidRecipe, match="could not determine a constructor for the tag"):
        Recipe.from_yaml(text)

    assert not made.exists()


@PROPERTY
@given(st.one_of(documents.map(yaml.safe_dump), st.text(max_size=80)))
def test_any_text_is_a_recipe_or_refused(text):
    with pytest.raises(InvalidRecipe):
        Recipe.from_yaml(text)
