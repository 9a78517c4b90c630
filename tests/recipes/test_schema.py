import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from recipes import Recipe, recipe_schema
from spaces import InvalidRecipe
from tests.recipes.samples import recipe
from tests.strategies import PROPERTY, damaged, policies

ROOT = Path(__file__).parents[2]
FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("recipe-*.yaml"))
VALIDATOR = Draft202012Validator(recipe_schema())


def test_the_schema_is_a_schema():
    Draft202012Validator.check_schema(recipe_schema())


def test_the_published_file_is_the_schema():
    published = json.loads((ROOT / "docs/schemas/tauten.recipe-1.schema.json").read_text())

    assert published == recipe_schema()


@PROPERTY
@given(policies)
def test_every_recipe_fits_the_schema(policy):
    VALIDATOR.validate(recipe(policy).to_dict())


@PROPERTY
@given(damaged(st.builds(lambda policy: recipe(policy).to_dict(), policies)))
def test_what_the_reader_accepts_the_schema_accepts(document):
    try:
        Recipe.from_dict(document)
    except InvalidRecipe:
        return
    VALIDATOR.validate(document)


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"schema": "tauten.recipe/2"},
        {"seed": -1},
        {"artifact": {"digest": "sha256:../x", "size_bytes": 1}},
        {"workload": {"name": "digits-cnn"}},
        {"claims": {"accuracy": {"value": "high", "unit": "fraction"}}},
        {"policy": {"schema": "tauten.policy/1", "layers": {"a": {"weight": {"bits": 9}}}}},
        {"policy": {"schema": "tauten.policy/1", "layers": {"a": {"prune": {"ratio": 1}}}}},
        {"policy": {"schema": "tauten.policy/1", "layers": {"a": {"paint": {}}}}},
        {"policy": {"schema": "tauten.policy/1", "recovery": {"epochs": -1}}},
        {"policy": {"schema": "tauten.policy/1", "student": {"width": 0}}},
    ],
)
def test_what_is_wrong_in_itself_the_schema_refuses(change):
    assert not VALIDATOR.is_valid(recipe().to_dict() | change)


def test_there_is_a_file_of_each_schema():
    assert [path.stem for path in FIXTURES] == ["recipe-1"]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_a_file_of_an_older_version_keeps_loading(path):
    text = path.read_text()

    assert Recipe.from_yaml(text).to_yaml() == text
    VALIDATOR.validate(yaml.safe_load(text))
