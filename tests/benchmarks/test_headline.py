from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.headline.__main__ import app
from benchmarks.headline.bars import BARS, quick
from benchmarks.headline.rows import rows_of
from benchmarks.headline.searching import Search
from benchmarks.peers.measuring import Point, Result, try_peer
from benchmarks.peers.onnx_runtime import STATIC
from benchmarks.peers.peer import Peer
from spaces import SpaceRequest

BAR = BARS[0]


def trial(drop, speedup, ratio, test=None):
    metrics = {
        "accuracy_drop": {"value": drop},
        "latency_ms": {"speedup": speedup},
        "size_bytes": {"ratio": ratio},
    }
    return {"metrics": metrics} | ({} if test is None else {"accuracy_test": {"value": test}})


def searched(*trials, is_finished=True, elapsed_s=1800.0):
    front = {"trials": list(trials), "reference": {"metrics": {}, "accuracy_test": {"value": 0.94}}}
    steps = ((100.0, 0.5), (500.0, 0.76), (700.0, 0.8))
    return Search(Path(), is_finished, 40, elapsed_s, front, steps)


@pytest.mark.parametrize("bar", BARS, ids=lambda bar: bar.workload)
def test_the_space_of_every_bar_can_be_searched(bar):
    assert SpaceRequest.from_dict(bar.space).recovery
    assert SpaceRequest.from_dict(quick(bar).space).recovery[0].epochs == 1


def test_the_trial_nearest_to_the_bar_within_a_point_on_validation_is_taken():
    search = searched(trial(0.002, 8, 30), trial(0.009, 12, 21), trial(0.02, 40, 90), trial(0.01, 30, 15))

    assert search.best(BAR)["metrics"]["latency_ms"]["speedup"] == 12


def test_a_bar_holds_by_the_mean_over_seeds_and_the_loss_on_test():
    good = searched(trial(0.009, 11, 24, test=0.932))
    weak = searched(trial(0.004, 9.4, 19, test=0.931))

    row, wall, useful = rows_of(BAR, [good, weak])
    assert row.holds
    assert "10.20x faster, 21.5x smaller, +0.85 points lost (test)" in row.measured
    assert (wall.holds, useful.holds, useful.measured) == (True, True, "95%")

    lossy = searched(trial(0.009, 11, 24, test=0.92))
    assert not next(iter(rows_of(BAR, [good, lossy]))).holds


def test_searches_that_are_not_finished_or_found_nothing_hold_nothing():
    begun = searched(trial(0.001, 20, 40), is_finished=False)
    (row,) = rows_of(BAR, [begun])
    (nothing,) = rows_of(BAR, [searched(trial(0.3, 90, 90))])
    (never,) = rows_of(BAR, [])

    assert not row.holds
    assert "(validation, search unfinished)" in row.measured
    assert not nothing.holds
    assert not never.holds


def test_a_search_that_takes_too_long_breaks_the_bar():
    _, wall, _ = rows_of(BAR, [searched(trial(0.001, 20, 40, test=0.94), elapsed_s=3000.0)])

    assert not wall.holds


def test_an_unknown_workload_is_refused():
    result = CliRunner().invoke(app, ["--only", "digits"])

    assert result.exit_code == 2


def test_a_point_dominates_what_is_no_better_anywhere():
    point = Point("a", 0.0, 0.005, 5.0, 8.0)

    assert point.dominates(replace(point, ratio=7.0))
    assert not point.dominates(point)
    assert not point.dominates(replace(point, speedup=4.0, lost=0.001))


def test_the_best_of_a_tool_is_its_fastest_within_a_point_on_validation():
    points = (
        Point("a", 0.0, 0.0, 3.0, 4.0),
        Point("b", 0.009, 0.02, 7.0, 9.0),
        Point("c", 0.02, 0.0, 9.0, 9.0),
    )

    assert Result("tool", "1", "", points).best.name == "b"
    assert Result("tool", "1", "", points[2:]).best is None
    assert Result.from_dict(Result("tool", "1", "", points).to_dict()) == Result("tool", "1", "", points)


def test_a_tool_that_is_missing_or_crashes_is_listed_with_its_error(digits, tmp_path):
    def crash(ground):
        raise KeyError("opset")
        yield

    missing = Peer("a tool", "no-such-distribution", crash)
    assert try_peer(missing, digits, {}, tmp_path / "a", epochs=0, seed=0).error == "no-such-distribution is not installed"  # fmt: skip
    crashing = Peer("a tool", "onnx", crash)
    assert "KeyError: 'opset'" in try_peer(crashing, digits, {}, tmp_path / "b", epochs=0, seed=0).error


def test_a_tool_is_measured_by_our_evaluator_and_not_run_twice(digits, tmp_path):
    result = try_peer(STATIC, digits, {}, tmp_path, epochs=0, seed=0)

    (point,) = result.points
    assert result.error == ""
    assert point.ratio > 3
    assert abs(point.drop) < 0.03
    broken = replace(STATIC, make=None)
    assert try_peer(broken, digits, {}, tmp_path, epochs=0, seed=0) == result
