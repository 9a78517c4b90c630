import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import (
    ActivationFormat,
    Distill,
    InvalidPolicy,
    LayerPolicy,
    Policy,
    Prune,
    Recovery,
    Student,
    WeightFormat,
    digest_of,
    layer_pointer,
)
from tests.strategies import (
    PROPERTY,
    attempted,
    damaged,
    documents,
    module_paths,
    part_of,
    places,
    policies,
    prunes,
    replaced,
)

DESIGNED = {
    "schema": "tauten.policy/1",
    "student": {"family": "self", "depth": 1.0, "width": 0.75},
    "layers": {
        "stem.conv": {
            "prune": {"ratio": 0.25, "granularity": "channel", "criterion": "l1"},
            "weight": {"bits": 8, "granularity": "channel"},
            "activation": {"bits": 8, "mode": "static"},
        },
        "head.fc": {"weight": {"bits": 32}, "activation": {"bits": 32}},
    },
    "recovery": {
        "epochs": 1.0,
        "qat": False,
        "distill": {"temperature": 4.0, "alpha": 0.7, "features": "none"},
    },
}


def fault_of(call, *args):
    with pytest.raises(InvalidPolicy) as caught:
        call(*args)
    return caught.value.faults[0]


def with_integers(document):
    """The same document, with every number that can be written without a point written so, and the reverse."""
    if isinstance(document, dict):
        return {key: with_integers(document[key]) for key in reversed(document)}
    if isinstance(document, float) and document.is_integer():
        return int(document)
    if isinstance(document, int) and not isinstance(document, bool):
        return float(document)
    return document


def test_the_documented_policy_is_read_as_it_says():
    policy = Policy.from_dict(DESIGNED)

    assert policy == Policy(
        Student("self", 1.0, 0.75),
        {
            "stem.conv": LayerPolicy(Prune(0.25), WeightFormat(8), ActivationFormat(8, "static")),
            "head.fc": LayerPolicy(weight=WeightFormat(32), activation=ActivationFormat(32)),
        },
        Recovery(1.0, qat=False, distill=Distill(4.0, 0.7)),
    )


def test_the_digest_of_the_documented_policy_never_changes():
    digest = "sha256:2dd766fa82b5f0d95c8e523944443bc654f135a5295832767aeba92364567302"

    assert Policy.from_dict(DESIGNED).digest == digest


@PROPERTY
@given(policies)
def test_json_brings_a_policy_back_exactly(policy):
    text = json.dumps(policy.to_dict())

    again = Policy.from_dict(json.loads(text))

    assert again == policy
    assert again.digest == policy.digest
    assert json.dumps(again.to_dict()) == text


@PROPERTY
@given(policies)
def test_the_order_of_keys_and_the_form_of_numbers_change_no_digest(policy):
    again = Policy.from_dict(with_integers(policy.to_dict()))

    assert again == policy
    assert again.digest == policy.digest
    assert hash(again) == hash(policy)


@PROPERTY
@given(policies, policies)
def test_policies_are_equal_when_their_digests_are(one, other):
    assert (one == other) == (one.digest == other.digest)


@PROPERTY
@given(policies)
def test_a_pickled_policy_comes_back(policy):
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert policy.digest == digest_of(policy.to_dict())


@PROPERTY
@given(policies, st.randoms())
def test_the_order_in_which_layers_were_given_does_not_matter(policy, random):
    names = list(policy.layers)
    random.shuffle(names)

    again = Policy(policy.student, {name: policy.layers[name] for name in names}, policy.recovery)

    assert again == policy
    assert again.digest == policy.digest


def test_numbers_that_are_equal_have_one_form():
    written = Policy(
        Student(depth=1, width=1),
        {"a": LayerPolicy(Prune(-0.0), WeightFormat(8.0), ActivationFormat(8.0, "static"))},
        Recovery(-0.0, qat=0, distill=Distill(4, -0.0)),
    )
    plain = Policy(
        Student(depth=1.0, width=1.0),
        {"a": LayerPolicy(Prune(0.0), WeightFormat(8), ActivationFormat(8, "static"))},
        Recovery(0.0, qat=False, distill=Distill(4.0, 0.0)),
    )

    assert written == plain
    assert written.digest == plain.digest


def test_a_policy_cannot_be_changed_through_what_it_was_made_from():
    layers = {"a": LayerPolicy(Prune(0.5))}
    policy = Policy(layers=layers)
    layers["b"] = LayerPolicy(Prune(0.5))

    assert list(policy.layers) == ["a"]
    with pytest.raises(TypeError):
        policy.layers["b"] = LayerPolicy()


def test_layers_that_are_asked_nothing_are_left_out():
    assert Policy(layers={"a": LayerPolicy()}) == Policy()
    assert Policy.from_dict({"schema": "tauten.policy/1", "layers": {"a": {}}}) == Policy()


def test_a_distillation_that_is_left_out_is_none():
    policy = Policy.from_dict({"schema": "tauten.policy/1", "recovery": {"epochs": 2}})

    assert policy.recovery == Recovery(2.0, distill=None)


def test_activations_of_few_bits_are_static_where_the_document_names_no_mode():
    assert ActivationFormat.from_dict({"bits": 8}) == ActivationFormat(8, "static")
    assert ActivationFormat.from_dict({"bits": 16}) == ActivationFormat(16, "none")


@PROPERTY
@given(policies, module_paths.filter(lambda key: key not in DESIGNED), st.data())
def test_an_unknown_key_is_refused_wherever_it_stands(policy, key, data):
    document = policy.to_dict()
    objects = {"": ()} | {
        pointer: way for pointer, way in places(document).items() if isinstance(part_of(document, way), dict)
    }
    objects.pop("/layers", None)
    pointer, way = data.draw(st.sampled_from(sorted(objects.items())))
    part_of(document, way)[f"x{key}"] = 1

    fault = fault_of(Policy.from_dict, document, "/policy")

    assert fault.pointer == f"/policy{pointer}/x" + key.replace("~", "~0").replace("/", "~1")


@PROPERTY
@given(
    policies.filter(lambda policy: policy.layers),
    st.sampled_from(([], [{}], 10**400, "\ud800", {"x": {"y": 1}})),
    st.data(),
)
def test_a_wrong_value_is_reported_where_it_stands(policy, wrong, data):
    document = policy.to_dict()
    leaves = {
        pointer: way
        for pointer, way in places(document).items()
        if not isinstance(part_of(document, way), dict)
    }
    pointer, way = data.draw(st.sampled_from(sorted(leaves.items())))

    fault = fault_of(Policy.from_dict, replaced(document, way, wrong), "/policy")

    is_object = part_of(document, way) is None and isinstance(wrong, dict)
    assert fault.pointer == f"/policy{pointer}" + ("/x" if is_object else "")


WRONG = [
    ("/schema", None),
    ("/schema", "tauten.policy/2"),
    ("/student/family", ""),
    ("/student/depth", 0),
    ("/student/depth", 1.01),
    ("/student/width", -0.5),
    ("/layers", []),
    ("/layers/", {"weight": {"bits": 8}}),
    ("/layers/stem.conv/prune/ratio", 1.0),
    ("/layers/stem.conv/prune/ratio", -0.1),
    ("/layers/stem.conv/prune/ratio", True),
    ("/layers/stem.conv/prune/ratio", None),
    ("/layers/stem.conv/prune/granularity", "4:2"),
    ("/layers/stem.conv/prune/granularity", "2:2"),
    ("/layers/stem.conv/prune/granularity", "0:4"),
    ("/layers/stem.conv/prune/granularity", "٢:٤"),
    ("/layers/stem.conv/prune/granularity", "1:" + "9" * 5000),
    ("/layers/stem.conv/prune/granularity", "2:4\n"),
    ("/layers/stem.conv/prune/criterion", "magic"),
    ("/layers/stem.conv/weight/bits", 9),
    ("/layers/stem.conv/weight/bits", 1),
    ("/layers/stem.conv/weight/bits", 8.5),
    ("/layers/stem.conv/weight/bits", "8"),
    ("/layers/stem.conv/weight/granularity", "row"),
    ("/layers/stem.conv/weight/group_size", 16),
    ("/layers/stem.conv/weight/symmetric", 1),
    ("/layers/stem.conv/activation/bits", 33),
    ("/layers/stem.conv/activation/mode", "none"),
    ("/layers/stem.conv/activation/mode", "soon"),
    ("/layers/head.fc/activation/mode", "static"),
    ("/recovery/epochs", -1),
    ("/recovery/epochs", float("inf")),
    ("/recovery/qat", "no"),
    ("/recovery/distill/temperature", 0),
    ("/recovery/distill/alpha", 1.5),
    ("/recovery/distill/features", "some"),
]


@pytest.mark.parametrize(("pointer", "value"), WRONG)
@pytest.mark.parametrize("prefix", ["", "/policy"])
def test_each_rule_names_the_field_that_breaks_it(pointer, value, prefix):
    document = replaced(DESIGNED, tuple(pointer.split("/")[1:]), value)

    assert fault_of(Policy.from_dict, document, prefix).pointer == prefix + pointer


def test_groups_of_weights_need_their_size():
    document = replaced(DESIGNED, ("layers", "stem.conv", "weight"), {"bits": 4, "granularity": "group"})

    assert fault_of(Policy.from_dict, document).pointer == "/layers/stem.conv/weight/group_size"
    assert fault_of(WeightFormat, 4, "group", 0).pointer == "/group_size"
    assert fault_of(WeightFormat, 4, "channel", 8).pointer == "/group_size"


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("make", [Prune, Recovery, Distill, lambda number: Student(depth=number)])
def test_no_policy_holds_what_json_has_no_number_for(make, number):
    fault_of(make, number)


@PROPERTY
@given(documents | damaged(policies.map(Policy.to_dict)))
def test_any_json_is_a_policy_or_an_invalid_value(document):
    policy = attempted(Policy.from_dict, document)

    if isinstance(policy, Policy):
        assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))).digest == policy.digest


@given(prunes)
def test_a_ratio_is_a_share_below_the_whole(prune):
    assert 0 <= prune.ratio < 1


def test_a_layer_is_quantized_below_32_bits():
    assert not LayerPolicy(Prune(0.5)).is_quantized
    assert not LayerPolicy(weight=WeightFormat(32), activation=ActivationFormat(32)).is_quantized
    assert LayerPolicy(weight=WeightFormat(16)).is_quantized
    assert LayerPolicy(activation=ActivationFormat(8, "dynamic")).is_quantized


def test_a_layers_pointer_is_escaped():
    assert layer_pointer("a/b~c") == "/layers/a~1b~0c"
    assert layer_pointer("a.b", "prune/ratio") == "/layers/a.b/prune/ratio"
