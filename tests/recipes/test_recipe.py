from dataclasses import replace
from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from recipes import Recipe
from spaces import InvalidRecipe
from tests.recipes.samples import recipe
from tests.strategies import PROPERTY, attempted, damaged_texts, documents, policies


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
        ({"schema": "tauten.recipe/9"}, "/schema: 'tauten.recipe/9' was written by a newer version"),
        ({"schema": "tauten.policy/1"}, "/schema: 'tauten.policy/1' is not one of: tauten.recipe/1"),
        ({"schema": None}, "/schema: is required"),
        ({"folded_from": "sha256:12"}, "/folded_from: must be sha256: and 64 digits"),
        ({"versions": {"torch": 2.10}}, "/versions/torch: must be text, in quotes, not 2.1"),
        ({"versions": "2.10"}, "/versions: must be an object"),
        ({"origin": None}, "/origin: is required"),
        ({"deployment": {"opset": float("nan")}}, "/deployment/opset: must be a finite number"),
        ({"origin": {"at": [1, date(2026, 1, 2)]}}, "/origin/at/1: must be plain JSON, not a date"),
        ({"origin": {"at": {1: 2}}}, "/origin/at: has the key 1, which is not text"),
        ({"target": {"name": "local-cpu"}}, "/target/fingerprint: is required"),
        ({"seed": -1}, "/seed: must be at least 0, not -1"),
        ({"colour": "red"}, "/colour: is not a known field"),
        ({"seed": "three"}, "/seed: must be a whole number"),
        (
            {"policy_digest": "sha256:" + "00" * 32},
            f"/policy_digest: is sha256:{'00' * 32}, but the policy's digest is",
        ),
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
    "digest",
    [
        "sha256:../../etc/passwd",
        "sha256:" + "a" * 63,
        "sha256:" + "A" * 64,
        "../x",
        "sha256:" + "a" * 64 + "\n",
        7,
    ],
)
@pytest.mark.parametrize(
    ("part", "key"), [("workload", "model"), ("workload", "data"), ("artifact", "digest")]
)
def test_a_digest_is_nothing_but_a_digest(part, key, digest):
    document = recipe().to_dict()
    document[part][key] = digest

    with pytest.raises(InvalidRecipe) as caught:
        Recipe.from_dict(document)

    assert [fault.pointer for fault in caught.value.faults] == [f"/{part}/{key}"]


@pytest.mark.parametrize("field", ["value", "low", "high", "speedup"])
@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf"])
def test_a_claim_that_is_no_number_is_refused(field, number):
    document = recipe().to_dict()
    document["claims"]["accuracy"][field] = "NUMBER"
    text = yaml.safe_dump(document).replace("NUMBER", number)

    with pytest.raises(InvalidRecipe, match=f"^/claims/accuracy/{field}: must be a finite number"):
        Recipe.from_yaml(text)


def test_a_file_cut_short_anywhere_is_refused():
    text = recipe().to_yaml()

    for length in range(len(text) - 2):  # the last line's end alone may be missing
        with pytest.raises(InvalidRecipe):
            Recipe.from_yaml(text[:length])


def test_aliases_of_aliases_are_refused_before_they_grow():
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x]", *levels])

    with pytest.raises(InvalidRecipe, match=r"line \d+: grows to over 500,000 parts"):
        Recipe.from_yaml(text)


def test_a_key_that_stands_twice_is_refused_for_the_second_would_win_in_silence():
    with pytest.raises(InvalidRecipe, match="line 2: the key 'seed' stands twice in one object"):
        Recipe.from_yaml("seed: 1\nseed: 2\n")


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


@PROPERTY
@given(damaged_texts(policies.map(lambda policy: recipe(policy).to_yaml())))
def test_a_damaged_recipe_is_refused_or_says_what_it_says(text):
    found = attempted(Recipe.from_yaml, text)
    if isinstance(found, Recipe):
        assert Recipe.from_yaml(found.to_yaml()) == found
    else:
        assert isinstance(found, InvalidRecipe)
