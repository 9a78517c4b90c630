import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.search.__main__ import app
from benchmarks.search.comparing import interval, paired, rows_for
from benchmarks.search.methods import METHODS, grouped_axes, play
from benchmarks.search.plotting import draw
from benchmarks.search.runs import kept_run, make_run
from benchmarks.search.setting import Run
from benchmarks.search.synthetic import Network

STEPS = ((0.5, 0.8), (0.5, 0.5), (0.9, 0.5), (0.9, 0.25))


def test_the_profile_is_charged_before_the_first_trial():
    free, charged = Run(STEPS), Run(STEPS, charge=2)

    assert [free.hypervolume(budget) for budget in range(5)] == pytest.approx([0, 0.1, 0.25, 0.45, 0.675])
    assert [charged.hypervolume(budget + 2) for budget in range(5)] == [
        free.hypervolume(budget) for budget in range(5)
    ]
    assert charged.hypervolume(2) == 0


def test_trials_are_counted_to_a_level_and_never_means_never():
    assert Run(STEPS).trials_to(0.3) == 3
    assert Run(STEPS, charge=5).trials_to(0.3) == 8
    assert Run(STEPS).trials_to(0.9) == float("inf")


def test_a_network_is_the_same_for_a_seed_and_another_for_another():
    point = tuple(1 for _ in Network(0).axes)

    assert Network(0).evaluate(point) == Network(0).evaluate(point)
    assert Network(0).evaluate(point) != Network(1).evaluate(point)
    assert Network(0).evaluate((0,) * len(point))[0] > 0.9


def test_a_shuffled_profile_has_the_same_numbers_in_other_places():
    good, shuffled = (Network(0).problem(kind).branches[0].losses for kind in ("good", "shuffled"))

    assert sorted(row[-1] for row in good) == sorted(row[-1] for row in shuffled)
    assert [row[-1] for row in good] != [row[-1] for row in shuffled]


def test_every_method_spends_the_same_number_of_trials():
    network = Network(0, layers=3)

    for name, method in METHODS.items():
        run = play(network, method, 18, seed=0)
        assert len(run.values) == len(run.points) == 18, name
        assert run.charge == (0 if method.profile == "none" else network.charge), name
        if method.start != "cold":
            assert list(run.points[: len(network.anchors)]) == network.anchors, name


def test_axes_that_are_grouped_are_decided_together():
    network = Network(0, layers=3)
    run = play(network, METHODS["GPSampler, grouped axes"], 11, seed=0)

    assert grouped_axes([4, 5, 4, 4, 4, 4]) == [(4, [0, 2, 3, 4]), (5, [1]), (4, [5])]
    assert len(set(run.points)) > 5
    assert all(len(set(point[0::2])) == len(set(point[1::2])) == 1 for point in run.points)


def test_bars_are_rows_that_hold_or_fail():
    good = dict.fromkeys((0, 1), Run(((0.9, 0.2),)))
    poor = dict.fromkeys((1, 2), Run(((0.5, 0.8),)))
    rows = list(rows_for("p", {"guided": good, "sweep alone": poor, "anchored GP, no profile": good}, 1))

    verdicts = {row.what: row.holds for row in rows}
    assert verdicts["p: guided / sweep alone at 1"] is True
    assert verdicts["p: trials to the sweep alone's hypervolume at 1"] is True
    rows = list(rows_for("p", {"guided": poor, "sweep alone": good}, 1))
    assert {row.holds for row in rows if row.bar} == {False}


def test_methods_are_compared_on_the_seeds_that_both_have():
    steps = {seed: Run(((0.5, 0.9 - seed / 10),)) for seed in range(4)}
    ours, theirs = ({seed: steps[seed] for seed in chosen} for chosen in ((0, 1, 2), (1, 2, 3)))

    assert paired(ours, theirs) == [(steps[1], steps[1]), (steps[2], steps[2])]
    rows = list(rows_for("p", {"guided": {0: steps[0]}, "sweep alone": {3: steps[3]}}, 1))
    assert [row.holds for row in rows if row.bar] == [False, False]


def test_the_interval_of_a_median_contains_it():
    values = np.random.default_rng(0).normal(size=30).tolist()

    low, high = map(float, interval(values).split(" to "))

    assert low <= np.median(values) <= high
    assert interval([1.0, 2.0]) == ""


@pytest.mark.parametrize("option", ["--only", "--method"])
def test_an_unknown_problem_or_method_is_refused(option):
    result = CliRunner().invoke(app, [option, "chess"])

    assert result.exit_code == 2


def test_a_run_is_kept_and_cut_to_a_smaller_budget(tmp_path, monkeypatch):
    monkeypatch.setenv("TAUTEN_CACHE", str(tmp_path))
    network = Network(0, layers=3)
    assert kept_run(network, "random", 6, 0) is None

    made = make_run(network, "random", 6, 0)

    assert kept_run(network, "random", 6, 0) == made
    assert kept_run(network, "random", 4, 0).values == made.values[:4]
    assert kept_run(network, "random", 7, 0) is None
    assert kept_run(network, "random", 6, 1) is None
    assert kept_run(Network(1, layers=3), "random", 6, 0) is None


def test_curves_are_drawn_and_the_same_runs_draw_the_same_file(tmp_path):
    runs = {"guided": {0: Run(STEPS, 2)}, "random": {0: Run(STEPS), 1: Run(STEPS[:2])}}

    first = draw(tmp_path, "p", runs, 6).read_bytes()

    assert b"<svg" in first
    assert draw(tmp_path, "p", runs, 6).read_bytes() == first
