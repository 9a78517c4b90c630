import pytest
from hypothesis import given
from hypothesis import strategies as st

from recipes import Recipe, fold, has_patterns, unfold
from spaces import InvalidPolicy, InvalidRecipe, LayerPolicy, Policy, Prune, WeightFormat
from tests.recipes.samples import recipe
from tests.strategies import PROPERTY, layer_policies

INT8, INT4 = LayerPolicy(weight=WeightFormat(8)), LayerPolicy(weight=WeightFormat(4))
ENCODER = tuple(
    f"encoder.layer.{block}.{part}"
    for block in range(12)
    for part in ("attention.query", "attention.key", "ffn.up", "ffn.down")
)
NAMES = st.from_regex(r"\A[ab]{1,2}(\.[0-9]{1,2}){0,2}(\.c[0-9]?)?\Z")


@PROPERTY
@given(st.sets(NAMES, min_size=1, max_size=14).map(sorted), st.data())
def test_unfolding_on_the_same_model_gives_the_policy_back_to_the_digest(names, data):
    few = st.sampled_from(data.draw(st.lists(layer_policies, min_size=1, max_size=2)))
    layers = data.draw(st.dictionaries(st.sampled_from(names), few))
    policy = Policy(layers=layers)

    folded = fold(policy, names)

    assert unfold(folded, names) == policy
    assert unfold(folded, names).digest == policy.digest
    assert len(folded.layers) <= len(policy.layers)


def test_equal_layers_become_one_pattern():
    policy = Policy(layers={name: INT8 for name in ENCODER if "ffn" in name})

    assert dict(fold(policy, ENCODER).layers) == {
        r"re:encoder\.layer\.\d+\.ffn\.down": INT8,
        r"re:encoder\.layer\.\d+\.ffn\.up": INT8,
    }


def test_a_pattern_never_reaches_a_layer_that_it_does_not_stand_for():
    layers = {f"encoder.layer.{block}.ffn.up": INT8 for block in range(11)}

    folded = fold(Policy(layers=layers), ENCODER)

    assert list(folded.layers) == [r"re:encoder\.layer\.(?:0|1|2|3|4|5|6|7|8|9|10)\.ffn\.up"]


def test_a_number_that_all_share_stays():
    names = ("stage1.0.conv1", "stage1.1.conv1", "stage2.0.conv1", "stage1.0.conv2")
    layers = dict.fromkeys(names[:2], INT8)

    assert list(fold(Policy(layers=layers), names).layers) == [r"re:stage1\.\d+\.conv1"]


def test_where_one_pattern_would_reach_others_each_of_few_stands_for_a_part():
    names = [f"stage{stage}.{block}.conv{conv}" for stage in (1, 2) for block in (0, 1) for conv in (1, 2)]
    pruned = [name for name in names if name.endswith("conv1") or name == "stage2.0.conv2"]

    folded = fold(Policy(layers=dict.fromkeys(pruned, INT4)), names)

    assert list(folded.layers) == [r"re:stage\d+\.\d+\.conv1", "stage2.0.conv2"]


def test_a_folded_recipe_survives_its_file_and_unfolds_to_the_text_it_came_from():
    written = recipe(Policy(layers=dict.fromkeys(ENCODER, INT8) | {"encoder.layer.3.ffn.up": INT4}))

    folded = Recipe.from_yaml(written.fold(ENCODER).to_yaml())

    assert has_patterns(folded.policy)
    assert folded.folded_from == written.policy.digest
    assert folded.unfold(ENCODER).to_yaml() == written.to_yaml()


def test_on_a_deeper_model_the_pattern_decides_and_the_claims_are_marked_as_of_another_policy():
    deeper = (*ENCODER, "encoder.layer.12.ffn.up")
    written = recipe(Policy(layers={name: INT8 for name in ENCODER if name.endswith("up")}))

    applied = written.fold(ENCODER).for_layers(deeper)

    assert applied.policy.layers["encoder.layer.12.ffn.up"] == INT8
    assert applied.folded_from == written.policy.digest != applied.policy.digest


def test_on_a_model_without_such_layers_it_is_refused_by_their_names():
    policy = Policy(layers={r"re:encoder\.layer\.\d+\.ffn\.up": INT8, "pooler": INT8, "head": INT4})

    with pytest.raises(InvalidRecipe) as pattern:
        recipe(policy).for_layers(("stem", "head"))
    with pytest.raises(InvalidRecipe) as names:
        recipe(Policy(layers={"pooler": INT8, "head": INT4, "tail": INT8})).for_layers(("stem", "head"))

    assert str(pattern.value).endswith(
        "/policy/layers/re:encoder\\.layer\\.\\d+\\.ffn\\.up: fits no layer of the model"
    )
    assert [fault.pointer for fault in names.value.faults] == ["/policy/layers/pooler", "/policy/layers/tail"]


def test_a_name_comes_before_a_pattern():
    policy = Policy(layers={"re:a.*": INT8, "a1": INT4})

    assert dict(unfold(policy, ("a0", "a1")).layers) == {"a0": INT8, "a1": INT4}


def test_two_patterns_that_disagree_about_a_layer_are_refused_and_two_that_agree_are_not():
    disagreeing = Policy(layers={"re:a.": INT8, "re:.1": INT4})
    agreeing = Policy(layers={"re:a.": INT8, "re:.1": INT8})

    with pytest.raises(InvalidPolicy, match="fits 'a1' like"):
        unfold(disagreeing, ("a0", "a1"))
    assert dict(unfold(agreeing, ("a0", "a1")).layers) == {"a0": INT8, "a1": INT8}


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("re:(a+)+b", "can run for ever"),
        ("re:(a|a){9}", "can run for ever"),
        ("re:" + ".*" * 9, "can run for ever"),
        ("re:" + "a" * 1001, "has 1001 characters"),
        ("re:[", "is no regular expression"),
    ],
)
def test_a_pattern_that_cannot_be_trusted_is_refused(pattern, says):
    with pytest.raises(InvalidPolicy, match=says):
        unfold(Policy(layers={pattern: INT8}), ("a" * 40,))


def test_a_layer_that_the_model_lacks_cannot_be_folded():
    with pytest.raises(InvalidPolicy, match="the model has no layer 'stem'"):
        fold(Policy(layers={"stem": LayerPolicy(Prune(0.5))}), ENCODER)
