import json

import numpy as np
import pytest

from benchmarks.search.evaluations import Evaluations
from benchmarks.search.held_out import test_rows as rows_of_test
from benchmarks.search.setting import Run
from benchmarks.search.trained import Trained
from compression import Deployment, evaluating, list_layers, main_output, shape
from evaluators.rounding import round_layers
from spaces import LayerPolicy, Policy, Prune


@pytest.fixture(scope="module")
def digits_problem(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # the trained network comes from the usual cache; evaluations are made anew
        kept = tmp_path_factory.mktemp("kept")
        patch.setattr("benchmarks.search.trained.cache_root", lambda: kept)
        yield Trained("digits-cnn")


def point_of(problem, **levels):
    return tuple(
        next((level for part, level in levels.items() if f"/{part}:" in name), 0) for name in problem.axes
    )


def test_an_evaluation_is_made_once_and_read_by_others(tmp_path):
    path, made = tmp_path / "new" / "table.jsonl", []
    table = Evaluations(path)

    def make():
        made.append(1)
        return 0.5, 0.25

    assert table.get("a", make) == table.get("a", make) == (0.5, 0.25)
    assert Evaluations(path).get("a", make) == (0.5, 0.25)
    assert len(made) == 1


def test_a_line_that_is_not_whole_is_left_alone(tmp_path):
    path = tmp_path / "table.jsonl"
    path.write_text(json.dumps(["a", [1.0]]) + "\n" + '["b", [2.')
    table = Evaluations(path)

    assert table.get("a", lambda: (9.0,)) == (1.0,)
    path.write_text(json.dumps(["a", [1.0]]) + "\n" + json.dumps(["b", [2.0]]) + "\n")
    assert table.get("b", lambda: (9.0,)) == (2.0,)


def test_a_policy_scores_what_the_compressed_network_does(digits_problem):
    digits = digits_problem.network.workload
    point = point_of(digits_problem, prune=1, bits=2)
    policy = digits_problem._space.policy(dict(zip(digits_problem.axes, point, strict=True)))
    pruned = Policy(None, {n: LayerPolicy(prune=p.prune) for n, p in policy.layers.items() if p.prune})
    model = shape(digits, digits_problem.network.model, pruned, deployment=Deployment(8), seed=0).model
    model = round_layers(model, {name: layer.weight.bits for name, layer in policy.layers.items()})
    with evaluating(model):
        parts = [
            (main_output(model(*inputs)).numpy(), labels.numpy())
            for inputs, labels in digits.batches("validation", 300)
        ]
    expected = digits.metric(*map(np.concatenate, zip(*parts, strict=True)))
    left = sum(layer.parameters for layer in list_layers(model, digits.example_inputs()))
    whole = sum(layer.parameters for layer in digits_problem.network.layers)

    accuracy, size, latency = digits_problem.evaluate(point)

    assert Prune(0.25) in [layer.prune for layer in pruned.layers.values()]
    assert accuracy == pytest.approx(expected, abs=1 / 300)
    assert size == pytest.approx(left * 4 / 32 / whole, rel=0.02)
    assert 0.3 < latency < 0.9


def test_costs_fall_with_every_choice_and_the_reference_costs_one(digits_problem):
    mild, rounded, pruned = (
        digits_problem.evaluate(point_of(digits_problem, **levels))
        for levels in ({}, {"bits": 4}, {"prune": 3})
    )

    assert rounded[1] < mild[1] <= 1
    assert pruned[1] < mild[1]
    assert pruned[2] < mild[2] <= 1
    assert digits_problem.best > 0.97


def test_profiles_of_all_kinds_describe_the_same_axes(digits_problem):
    good, shuffled, none = (digits_problem.problem(kind) for kind in ("good", "shuffled", "none"))

    assert good.branches[0].axes == shuffled.branches[0].axes == none.branches[0].axes
    assert (good.is_profiled, none.is_profiled) == (True, False)
    tops = [sorted(row[-1] for row in problem.branches[0].losses) for problem in (good, shuffled)]
    assert tops[0] == pytest.approx(tops[1], rel=0.2)
    assert digits_problem.charge >= 1


def test_a_front_is_evaluated_again_on_the_test_split(digits_problem):
    points = (point_of(digits_problem), point_of(digits_problem, bits=2))
    values = tuple(digits_problem.evaluate(point) for point in points)
    runs = {"guided": {0: Run(values, 0, points)}, "random": {0: Run(values[:1], 0, points[:1])}}

    rows = list(rows_of_test(digits_problem, runs, float("inf")))

    assert [row.holds for row in rows] == [None, None, True]
    assert "guided" in rows[0].what
    assert list(rows_of_test(digits_problem, runs, 0.0)) == []
