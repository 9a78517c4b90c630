import pytest

from spaces import (
    OBJECTIVES,
    UNITS,
    InvalidValue,
    Method,
    Metric,
    direction,
    metrics_from_dict,
    metrics_to_dict,
)

LATENCY = Metric(
    0.031, "ms", Method.MEASURED, low=0.03, high=0.032, split=None, speedup=3.9, ratio=None, contended=False
)
METRICS = {
    "accuracy": Metric(0.988, "fraction", Method.SIMULATED, low=0.981, high=0.994, split="validation"),
    "latency_ms": LATENCY,
    "size_bytes": Metric(98304, "byte", Method.MODELLED, ratio=12.6),
}


def test_accuracy_alone_is_maximised():
    assert [name for name in UNITS if direction(name) == "maximize"] == ["accuracy"]


def test_every_objective_has_a_unit():
    assert set(OBJECTIVES) <= set(UNITS)


def test_metrics_come_back_from_their_json_form():
    assert metrics_from_dict(metrics_to_dict(METRICS)) == METRICS


def test_what_is_not_known_is_left_out():
    assert METRICS["size_bytes"].to_dict() == {
        "value": 98304,
        "unit": "byte",
        "method": "modelled",
        "ratio": 12.6,
    }


def test_a_count_stays_a_whole_number():
    count = 2**60 + 1

    assert Metric.from_dict({"value": count, "unit": "mac"}).value == count


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("value", None),
        ("value", "1"),
        ("value", 10**400),
        ("value", float("nan")),
        ("low", "1"),
        ("high", []),
        ("split", 1),
        ("ratio", True),
        ("contended", 1),
        ("method", "guessed"),
        ("extra", 1),
    ],
)
def test_a_wrong_field_is_named(field, value):
    document = {"accuracy": {"value": 1, "unit": "fraction"} | {field: value}}

    with pytest.raises(InvalidValue) as caught:
        metrics_from_dict(document, "/reference")

    assert caught.value.faults[0].pointer == f"/reference/accuracy/{field}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_metric_is_finite(value):
    with pytest.raises(InvalidValue, match="must be finite"):
        Metric(value, "ms")
