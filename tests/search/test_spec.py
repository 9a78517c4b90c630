import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.spec import Bound, Budget, JobSpec
from spaces import InvalidSpace, InvalidSpec, Metric, SpaceRequest
from tests.strategies import PROPERTY, attempted, bounds, damaged, documents, job_specs, replaced

DESIGNED = {
    "workload": "digits-cnn",
    "target": "local-cpu",
    "objectives": ["accuracy", "latency_ms", "size_bytes"],
    "constraints": {"accuracy_drop": {"max": 0.01}},
    "budget": {"trials": 40, "wall_s": 900},
    "sampler": "guided",
    "runner": "local",
    "seed": 0,
}


def faults_of(call, *args, **fields):
    with pytest.raises(InvalidSpec) as caught:
        call(*args, **fields)
    return [fault.pointer for fault in caught.value.faults]


def test_the_documented_job_is_read_as_it_says():
    assert JobSpec.from_dict(DESIGNED) == JobSpec(
        "digits-cnn",
        constraints={"accuracy_drop": Bound(high=0.01)},
        budget=Budget(40, 900.0),
    )


def test_a_workload_is_enough():
    assert JobSpec.from_dict({"workload": "digits-cnn"}) == JobSpec("digits-cnn")
    assert JobSpec("digits-cnn").space == SpaceRequest()


@PROPERTY
@given(job_specs)
def test_json_and_pickle_bring_a_spec_back(spec):
    assert JobSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert pickle.loads(pickle.dumps(spec)) == spec


@PROPERTY
@given(documents | damaged(job_specs.map(JobSpec.to_dict)))
def test_any_json_is_a_spec_or_an_invalid_value(document):
    spec = attempted(JobSpec.from_dict, document)

    if isinstance(spec, JobSpec):
        assert JobSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    else:
        assert isinstance(spec, InvalidSpec | InvalidSpace)


WRONG = [
    ("/workload", None),
    ("/workload", 3),
    ("/target", []),
    ("/objectives", []),
    ("/objectives", "accuracy"),
    ("/objectives/1", "beauty"),
    ("/objectives/1", "accuracy"),
    ("/objectives/2", 7),
    ("/constraints", []),
    ("/constraints/beauty", {"max": 1}),
    ("/constraints/accuracy_drop", {}),
    ("/constraints/accuracy_drop", {"min": 2, "max": 1}),
    ("/constraints/accuracy_drop", 0.01),
    ("/constraints/accuracy_drop/max", "small"),
    ("/constraints/accuracy_drop/most", 1),
    ("/sampler", "magic"),
    ("/sampler", 1),
    ("/budget", 40),
    ("/budget/trials", 0),
    ("/budget/trials", -3),
    ("/budget/trials", 1.5),
    ("/budget/trials", 100_001),
    ("/budget/wall_s", 0),
    ("/budget/wall_s", float("inf")),
    ("/budget/hours", 1),
    ("/runner", "elsewhere"),
    ("/workers", 0),
    ("/workers", 1025),
    ("/workers", 1.5),
    ("/resources", {"gpu": 1}),
    ("/seed", -1),
    ("/seed", 2**31),
    ("/seed", True),
    ("/color", "red"),
]


@pytest.mark.parametrize(("pointer", "value"), WRONG)
def test_each_rule_names_the_field_that_breaks_it(pointer, value):
    way = tuple(int(token) if token.isdecimal() else token for token in pointer.split("/")[1:])

    assert faults_of(JobSpec.from_dict, replaced(DESIGNED, way, value)) == [pointer]


@pytest.mark.parametrize(
    ("field", "value"), [("gpu", -1), ("gpu", 1.5), ("cpu", 0), ("cpu", 1.5), ("tpu", 1)]
)
def test_a_wrong_resource_is_named_within_the_job(field, value):
    document = DESIGNED | {"runner": "ray", "resources": {field: value}}

    assert faults_of(JobSpec.from_dict, document) == [f"/resources/{field}"]


@pytest.mark.parametrize(
    ("space", "pointer"),
    [
        ([], "/space"),
        ({"prune": {"ratios": [0, 1.0]}}, "/space/prune/ratios/1"),
        ({"prune": {"ratios": []}}, "/space/prune/ratios"),
        ({"bits": []}, "/space/bits"),
        ({"recovery": []}, "/space/recovery"),
        ({"recovery": [{"epochs": -1}]}, "/space/recovery/0/epochs"),
        ({"students": [{"family": ""}]}, "/space/students/0/family"),
        ({"layers": {"a/b": {"bits": []}}}, "/space/layers/a~1b/bits"),
        ({"layer": {}}, "/space/layer"),
    ],
)
def test_a_wrong_space_is_named_within_the_job(space, pointer):
    with pytest.raises(InvalidSpace) as caught:
        JobSpec.from_dict({"workload": "w", "space": space})

    assert [fault.pointer for fault in caught.value.faults] == [pointer]


def test_several_faults_are_told_at_once():
    document = DESIGNED | {
        "objectives": ["accuracy", "accuracy", "x"],
        "constraints": {"y/z": {"max": 1}},
        "sampler": "s",
        "runner": "r",
    }

    assert faults_of(JobSpec.from_dict, document) == [
        "/objectives/1",
        "/objectives/2",
        "/constraints/y~1z",
        "/sampler",
        "/runner",
    ]


def test_what_json_cannot_ask_python_cannot_either():
    assert faults_of(JobSpec, "w", sampler="magic") == ["/sampler"]
    assert faults_of(JobSpec, "w", seed=-1) == ["/seed"]
    assert faults_of(Budget, 0) == ["/trials"]
    assert faults_of(Budget, 1, 0.5) == ["/wall_s"]
    assert faults_of(Budget, 1, float("nan")) == ["/wall_s"]
    assert faults_of(Bound, 2, 1) == [""]
    assert faults_of(Bound) == [""]


@PROPERTY
@given(bounds, st.floats(-2e6, 2e6))
def test_the_excess_is_the_distance_to_the_nearest_value_within(bound, value):
    low = -3e6 if bound.low is None else bound.low
    high = 3e6 if bound.high is None else bound.high
    nearest = sorted((low, value, high))[1]

    distance = abs(value - nearest)

    assert bound.excess(value) == pytest.approx(distance, rel=0, abs=1e-9 * max(1, abs(value)))
    assert bound.excess(value) in {0.0, distance}


def test_rounding_of_binary_fractions_breaks_no_bound():
    assert 0.9967 - 0.9867 > 0.01
    assert Bound(high=0.01).excess(0.9967 - 0.9867) == 0.0
    assert Bound(low=0.01).excess(0.009999) == pytest.approx(1e-6)


def test_both_ends_of_a_bound_are_within():
    bound = Bound(1.0, 2.0)

    assert [bound.excess(value) for value in (0.5, 1.0, 1.5, 2.0, 2.25)] == [0.5, 0.0, 0.0, 0.0, 0.25]


def test_violations_are_the_known_metrics_beyond_their_bounds():
    spec = JobSpec(
        "w",
        constraints={
            "accuracy_drop": Bound(high=0.25),
            "latency_ms": Bound(high=1.0),
            "size_bytes": Bound(high=10),
        },
    )
    metrics = {"accuracy_drop": Metric(0.75, "fraction"), "latency_ms": Metric(1.0, "ms")}

    assert spec.violations(metrics) == {"accuracy_drop": 0.5}


def test_a_spec_cannot_be_changed_through_what_it_was_made_from():
    constraints = {"latency_ms": Bound(high=1.0)}
    spec = JobSpec("w", constraints=constraints)
    constraints.clear()

    assert spec.constraints == {"latency_ms": Bound(high=1.0)}
