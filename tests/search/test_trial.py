import json

import pytest
from hypothesis import given

from evaluators import ArtifactRef, Outcome
from search.trial import Trial, TrialState
from spaces import LayerPolicy, Metric, Policy, Prune
from tests.strategies import PROPERTY, policies

POLICY = Policy(layers={"stem": LayerPolicy(Prune(0.5))})
COMPLETED = Outcome(
    "completed",
    None,
    {"accuracy": Metric(0.75, "fraction"), "size_bytes": Metric(98304, "byte")},
    {"stem": "float32"},
    ArtifactRef("sha256:00", 98304),
    2.5,
)


def test_states_that_use_up_the_budget():
    assert {state for state in TrialState if state.counts} == {"completed", "infeasible", "failed"}


def test_states_after_which_nothing_happens():
    assert {state for state in TrialState if state.is_final} == {"completed", "infeasible", "failed", "gated"}


def test_an_ended_trial_has_what_its_evaluation_found():
    trial = Trial(3, POLICY, {"student": 0}, "tpe", {"id": 7}, fidelity=0.25)

    ended = trial.ended(COMPLETED, {"size_bytes": 4.0})

    assert trial.state is TrialState.RUNNING
    assert ended == Trial(
        3,
        POLICY,
        {"student": 0},
        "tpe",
        {"id": 7},
        TrialState.COMPLETED,
        None,
        0.25,
        COMPLETED.metrics,
        {"stem": "float32"},
        ArtifactRef("sha256:00", 98304),
        {"size_bytes": 4.0},
        2.5,
    )


@pytest.mark.parametrize("status", ["completed", "gated", "infeasible", "failed"])
def test_every_status_of_an_outcome_is_a_final_state(status):
    ended = Trial(0, POLICY, {}, "tpe").ended(Outcome(status, "why"), {})

    assert ended.state is TrialState(status)
    assert ended.state.is_final
    assert ended.reason == "why"


def test_a_latency_that_is_measured_again_replaces_the_first():
    first = {"accuracy": Metric(0.75, "fraction"), "latency_ms": Metric(2.0, "ms")}
    trial = Trial(0, POLICY, {}, "tpe").ended(Outcome("completed", None, first), {"latency_ms": 1.0})

    again = trial.remeasured(Metric(0.5, "ms"), {})

    assert again.metrics == {"accuracy": Metric(0.75, "fraction"), "latency_ms": Metric(0.5, "ms")}
    assert again.violates == {}
    assert trial.value("latency_ms") == 2.0


def test_a_metric_is_found_by_name():
    trial = Trial(0, POLICY, {}, "anchor").ended(COMPLETED, {})

    assert trial.value("accuracy") == 0.75
    with pytest.raises(KeyError):
        trial.value("latency_ms")


def test_the_json_form_of_a_trial():
    trial = Trial(3, POLICY, {"student": 0}, "tpe").ended(COMPLETED, {"size_bytes": 4.0})

    assert json.loads(json.dumps(trial.to_dict())) == {
        "trial": 3,
        "state": "completed",
        "reason": None,
        "origin": "tpe",
        "fidelity": 1.0,
        "policy_digest": POLICY.digest,
        "policy": POLICY.to_dict(),
        "metrics": {
            "accuracy": {"value": 0.75, "unit": "fraction", "method": "measured"},
            "size_bytes": {"value": 98304, "unit": "byte", "method": "measured"},
        },
        "executed_as": {"stem": "float32"},
        "artifact": {"digest": "sha256:00", "size_bytes": 98304},
        "violates": {"size_bytes": 4.0},
        "seconds": 2.5,
    }


@PROPERTY
@given(policies)
def test_a_trial_names_its_policy_by_digest(policy):
    form = Trial(0, policy, {}, "anchor").to_dict()

    assert form["artifact"] is None
    assert Policy.from_dict(form["policy"]).digest == form["policy_digest"]
