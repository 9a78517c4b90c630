import json

import pytest

from service.model_card import PLOT, model_card, plot_points
from service.trade_off_plot import draw_trade_off
from spaces import (
    ActivationFormat,
    Distill,
    InvalidSpec,
    LayerPolicy,
    Metric,
    Policy,
    Prune,
    Recovery,
    Student,
    WeightFormat,
)
from tests.recipes.samples import recipe

INT8 = LayerPolicy(weight=WeightFormat(8), activation=ActivationFormat(8, "static"))
POLICY = Policy(
    Student(depth=0.5), {"a": INT8, "b": INT8, "c": LayerPolicy(Prune(0.5))}, Recovery(2.0, distill=Distill())
)
FRONT = {
    "objectives": ["accuracy", "latency_ms"],
    "chosen": 1,
    "trials": [{"trial": 1}, {"trial": 2}],
}
TRIALS = [
    {"trial": "0", "accuracy": "", "latency_ms": ""},
    {"trial": "1", "accuracy": "0.9", "latency_ms": "0.5"},
    {"trial": "2", "accuracy": "0.8", "latency_ms": "0.2"},
    {"trial": "3", "accuracy": "0.7", "latency_ms": "0.6"},
]


def test_a_card_says_what_is_claimed_for_what_and_how_it_was_obtained():
    claims = {
        "accuracy": Metric(0.98, "fraction", low=0.97, high=0.99, split="validation"),
        "latency_ms": Metric(0.031, "ms", speedup=3.9),
    }
    made = recipe(POLICY, claims=claims)

    text = model_card(made, has_plot=True)

    assert text.startswith("# digits-cnn, compressed for local-cpu\n")
    assert "| accuracy | 98.00 % | 97.0-99.0 | 99.00 % | measured | validation |" in text
    assert "3.90x" in text
    assert "- cpu: a CPU" in text
    assert "- 8-bit symmetric weights by channel, 8-bit static activations: `a`, `b`" in text
    assert "- 50% pruned by channel (l1): `c`" in text
    assert "- starts from the student self depth 0.5 width 1" in text
    assert "- 2 epochs of training, with the reference as teacher" in text
    assert "By a search: job abc, trial 17." in text
    assert f"]({PLOT})" in text
    assert made.policy.digest in text
    assert made.artifact["digest"] in text


def test_a_card_without_a_plot_shows_none():
    assert "![" not in model_card(recipe(), has_plot=False)


def test_the_plot_has_every_completed_trial_once_and_knows_the_front():
    shown = plot_points(json.loads(json.dumps(FRONT)), TRIALS)

    assert shown["cost"] == "latency_ms"
    assert [(p["x"], p["y"], p["on_front"], p["chosen"]) for p in shown["points"]] == [
        (0.5, 0.9, True, True),
        (0.2, 0.8, True, False),
        (0.6, 0.7, False, False),
    ]


@pytest.mark.parametrize(
    ("front", "trials", "says"),
    [
        (FRONT | {"objectives": ["accuracy"]}, TRIALS, "holds no cost"),
        (FRONT, TRIALS[:1], "no trial has both accuracy and latency_ms"),
    ],
)
def test_a_plot_of_nothing_is_refused(front, trials, says):
    with pytest.raises(InvalidSpec, match=says):
        plot_points(front, trials)


def test_the_plot_is_a_picture(tmp_path):

    draw_trade_off(plot_points(FRONT, TRIALS), tmp_path / PLOT)
    draw_trade_off(plot_points(FRONT, TRIALS), tmp_path / "again.png")

    data = (tmp_path / PLOT).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(data[16:20], "big") == 960
    assert data == (tmp_path / "again.png").read_bytes()
