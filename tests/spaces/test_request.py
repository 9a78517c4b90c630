import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaces import (
    Bits,
    Capabilities,
    InvalidSpace,
    Kernel,
    LayerRule,
    Recovery,
    SpaceRequest,
    Student,
)
from tests.strategies import (
    PROPERTY,
    attempted,
    damaged,
    documents,
    part_of,
    places,
    replaced,
    space_requests,
)

VALID = {
    "students": [None, {"family": "self", "depth": 0.5, "width": 1.0}],
    "prune": {"ratios": [0.5, 0.0], "granularity": ["channel"], "criterion": "l2"},
    "bits": [{"weight": 8, "activation": 8, "mode": "static"}, {}],
    "recovery": [None, {"epochs": 2, "qat": True, "distill": {"temperature": 2}}],
    "layers": {
        "head/*": "keep",
        "stem": {"prune": {"ratios": [0.25]}, "bits": [{"weight": 4, "activation": 32}]},
    },
}


def faults_of(call, *args):
    with pytest.raises(InvalidSpace) as caught:
        call(*args)
    return [fault.pointer for fault in caught.value.faults]


def test_a_space_is_read_as_it_is_written():
    request = SpaceRequest.from_dict(VALID)

    assert request == SpaceRequest(
        (None, Student(depth=0.5)),
        (0.5, 0.0),
        "l2",
        ("channel",),
        (Bits(8, 8, "static"), Bits()),
        (None, Recovery(2.0, qat=True, distill=request.recovery[1].distill)),
        {
            "head/*": LayerRule(keep=True),
            "stem": LayerRule(ratios=(0.25,), bits=(Bits(4, 32),)),
        },
    )


@pytest.mark.parametrize("document", [None, {}, {"prune": None, "bits": None, "layers": {}}])
def test_what_is_left_out_is_the_default(document):
    assert SpaceRequest.from_dict(document) == SpaceRequest()


@PROPERTY
@given(space_requests())
def test_json_and_pickle_bring_a_request_back(request):
    assert SpaceRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request
    assert pickle.loads(pickle.dumps(request)) == request


@PROPERTY
@given(documents | damaged(space_requests().map(SpaceRequest.to_dict) | st.just(VALID)))
def test_any_json_is_a_request_or_an_invalid_space(document):
    request = attempted(lambda document: SpaceRequest.from_dict(document, "/space"), document)

    if isinstance(request, SpaceRequest):
        assert SpaceRequest.from_dict(request.to_dict()) == request
    else:
        assert isinstance(request, InvalidSpace)
        assert all(fault.pointer.startswith("/space") for fault in request.faults)


WRONG = [
    ("/students/1/family", ""),
    ("/students/1/depth", 0),
    ("/students/0", 1),
    ("/students", {}),
    ("/prune/ratios", []),
    ("/prune/ratios/0", 1.0),
    ("/prune/ratios/1", -0.1),
    ("/prune/ratios/1", "a"),
    ("/prune/ratios/0", None),
    ("/prune/granularity", []),
    ("/prune/granularity/0", "block"),
    ("/prune/granularity/0", "4:2"),
    ("/hint", "hurry"),
    ("/hint", 3),
    ("/prune/granularity/0", 3),
    ("/prune/criterion", "entropy"),
    ("/prune/speed", 1),
    ("/bits", []),
    ("/bits/0/weight", 9),
    ("/bits/0/activation", 12),
    ("/bits/0/mode", "none"),
    ("/bits/1/mode", "static"),
    ("/bits/1/x", 1),
    ("/bits/0", None),
    ("/recovery", []),
    ("/recovery/1/epochs", -1),
    ("/recovery/1/distill/alpha", 2),
    ("/layers", []),
    ("/layers/stem", "drop"),
    ("/layers/stem", None),
    ("/layers/stem/bits", []),
    ("/layers/stem/bits/0/weight", 1),
    ("/layers/stem/prune/ratios", []),
    ("/layers/stem/prune/ratios", None),
    ("/layers/stem/prune/ratios/0", 1),
    ("/layers/stem/prune/granularity", []),
    ("/layers/stem/prune/criterion", "l2"),
    ("/layers/stem/keep", True),
    ("/layers/head~1*", 3),
    ("/sampler", "tpe"),
]


@pytest.mark.parametrize(("pointer", "value"), WRONG)
@pytest.mark.parametrize("prefix", ["", "/space", "/bits"])
def test_each_rule_names_the_field_that_breaks_it(pointer, value, prefix):
    way = [token.replace("~1", "/") for token in pointer.split("/")[1:]]
    way = [int(token) if token.isdecimal() else token for token in way]

    document = replaced(VALID, tuple(way), value)

    assert faults_of(SpaceRequest.from_dict, document, prefix) == [prefix + pointer]


@PROPERTY
@given(space_requests(), st.data())
def test_an_unknown_key_is_refused_wherever_it_stands(request, data):
    document = request.to_dict()
    objects = {"": ()} | {
        pointer: way for pointer, way in places(document).items() if isinstance(part_of(document, way), dict)
    }
    objects.pop("/layers")
    pointer, way = data.draw(st.sampled_from(sorted(objects.items(), key=str)))
    part_of(document, way)["x/y"] = 1

    assert faults_of(SpaceRequest.from_dict, document, "/space") == [f"/space{pointer}/x~1y"]


def test_lists_that_are_wrong_are_refused_in_python_too():
    assert faults_of(SpaceRequest, (), (1.0, 0.5)) == ["/prune/ratios/0"]
    assert faults_of(SpaceRequest, (), ()) == ["/prune/ratios"]
    assert faults_of(SpaceRequest, (), (0.0, 0.5), "entropy") == ["/prune/criterion"]
    assert faults_of(lambda: LayerRule(ratios=())) == ["/prune/ratios"]
    assert faults_of(lambda: LayerRule(bits=())) == ["/bits"]
    assert faults_of(lambda: LayerRule(keep=True, ratios=(0.5,))) == [""]
    assert faults_of(Bits, 8, 8, "none") == ["/mode"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_single_policy_is_nothing_to_search(times):
    document = {
        "students": [None] * times,
        "prune": {"ratios": [0.5] * times},
        "bits": [{"weight": 8, "activation": 8}] * times,
        "recovery": [None] * times,
    }

    assert faults_of(SpaceRequest.from_dict, document, "/space") == ["/space"]
    SpaceRequest.from_dict(document | {"layers": {"stem": {"prune": {"ratios": [0, 0.5]}}}})
    SpaceRequest.from_dict(document | {"students": []})


def test_the_first_exception_that_matches_holds():
    first, second = LayerRule(ratios=(0.5,)), LayerRule(keep=True)
    request = SpaceRequest(layers={"block.*": first, "*": second})

    assert request.glob_for("block.1.conv") == "block.*"
    assert request.rule_for("block.1.conv") == first
    assert request.rule_for("stem") == second
    assert SpaceRequest().rule_for("stem") == LayerRule()
    assert SpaceRequest().glob_for("stem") is None


INT8 = Capabilities((Kernel("conv", 8, 8, "static", "int8"),))


def test_bits_that_no_operator_runs_are_refused_where_they_were_written():
    document = {
        "bits": [{"weight": 4}, {}, {"weight": 8, "activation": 8}, {"weight": 2}],
        "layers": {"a/b": {"bits": [{"weight": 8, "activation": 8, "mode": "dynamic"}]}, "c": "keep"},
    }
    request = SpaceRequest.from_dict(document, "/space")

    with pytest.raises(InvalidSpace, match="'board' cannot run 4-bit weights with 32-bit none") as caught:
        request.check(INT8, "board")

    pointers = [fault.pointer for fault in caught.value.faults]
    assert pointers == ["/space/bits/0", "/space/bits/3", "/space/layers/a~1b/bits/0"]


def test_the_default_bits_are_refused_nowhere():
    SpaceRequest().check(Capabilities(()), "plain")
    SpaceRequest().check(INT8, "board")


def test_floating_point_runs_everywhere():
    SpaceRequest(bits=(Bits(),)).check(Capabilities(()), "plain")
