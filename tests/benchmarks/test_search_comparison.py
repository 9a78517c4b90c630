import numpy as np
import pytest
from typer.testing import CliRunner

from benchmarks.search.__main__ import app
from benchmarks.search.comparing import interval, rows_for
from benchmarks.search.methods import METHODS, play
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
        run = play(network, method, 20, seed=0)
        assert len(run.values) == 20, name
        assert run.charge == (0 if not method.profiled else network.charge), name


def test_bars_are_rows_that_hold_or_fail():
    good = [Run(((0.9, 0.2),)), Run(((0.9, 0.2),))]
    poor = [Run(((0.5, 0.8),)), Run(((0.5, 0.8),))]
    rows = list(rows_for("p", {"guided": good, "sweep alone": poor, "anchored GP, no profile": good}, 1))

    verdicts = {row.what: row.holds for row in rows}
    assert verdicts["p: guided / sweep alone at 1"] is True
    assert verdicts["p: trials to the sweep alone's hypervolume at 1"] is True
    rows = list(rows_for("p", {"guided": poor, "sweep alone": good}, 1))
    assert {row.holds for row in rows if row.bar} == {False}


def test_the_interval_of_a_median_contains_it():
    values = np.random.default_rng(0).normal(size=30).tolist()

    low, high = map(float, interval(values).split(" to "))

    assert low <= np.median(values) <= high
    assert interval([1.0, 2.0]) == ""


def test_an_unknown_problem_is_refused():
    result = CliRunner().invoke(app, ["--only", "chess"])

    assert result.exit_code == 2
