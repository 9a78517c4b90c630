"""Policies scored on machines that are known by their figures alone."""

import numpy as np
import pytest

from compression import export_float
from evaluators.evaluator import Evaluator
from evaluators.latency import BASELINE
from evaluators.modelled.meter import ModelledMeter
from evaluators.targets import Calibration, find_target, offers_simulated
from spaces import (
    ActivationFormat,
    Bits,
    LayerPolicy,
    Method,
    Policy,
    Prune,
    SpaceRequest,
    WeightFormat,
)

INT8 = {"weight": WeightFormat(8), "activation": ActivationFormat(8, "static")}
INT4 = {"weight": WeightFormat(4), "activation": ActivationFormat(4, "static")}
HALF = {"weight": WeightFormat(16), "activation": ActivationFormat(16)}


@pytest.fixture(scope="module")
def scored(digits, tmp_path_factory):
    """A uniform policy's outcome on a target, and the evaluator's reference metrics."""

    def score(name, offers=False, without=(), **layer):
        directory = tmp_path_factory.mktemp("modelled")
        with Evaluator(digits, find_target(name), directory, offers_simulated=offers) as evaluator:
            names = [info.name for info in evaluator.inventory(None).layers if info.name not in without]
            outcome, _ = evaluator.evaluate(Policy(layers={name: LayerPolicy(**layer) for name in names}))
            return outcome, evaluator.reference.metrics

    return score


def test_int8_on_a_modelled_board_is_executed_here_and_its_latency_computed(scored):
    outcome, reference = scored("raspberry-pi-5", **INT8)

    latency, accuracy = outcome.metrics["latency_ms"], outcome.metrics["accuracy"]
    assert outcome.status == "completed", outcome.reason
    assert set(outcome.executed_as.values()) == {"int8"}
    assert (accuracy.method, accuracy.value > 0.97) == (Method.MEASURED, True)
    assert (latency.method, latency.calibrated, latency.contended) == (Method.MODELLED, False, None)
    assert (latency.low, latency.high) == (None, None)
    assert latency.speedup == pytest.approx(reference["latency_ms"].value / latency.value)
    assert latency.speedup > 1.5
    assert reference["latency_ms"].method is Method.MODELLED
    assert "energy_mj" not in outcome.metrics


@pytest.mark.parametrize("form", [INT4, HALF], ids=["int4", "float16"])
def test_bits_without_a_kernel_here_are_simulated_where_the_target_has_one(scored, form):
    outcome, _ = scored("a100", **form)

    assert outcome.status == "completed", outcome.reason
    assert set(outcome.executed_as.values()) == {"simulated"}
    assert outcome.metrics["accuracy"].method is Method.SIMULATED
    assert outcome.metrics["accuracy_drop"].method is Method.SIMULATED
    assert outcome.metrics["accuracy"].value > 0.9


def test_bits_that_the_target_has_no_kernel_for_are_refused_as_anywhere(scored):
    outcome, _ = scored("raspberry-pi-5", **INT4)

    assert outcome.status == "infeasible"
    assert "the target has no kernel for what the policy asks" in outcome.reason


def test_where_a_search_offers_simulated_bits_all_its_accuracies_count_as_simulated(scored):
    alone, _ = scored("a100", **INT8)
    among_others, _ = scored("a100", offers=True, **INT8)

    assert alone.metrics["accuracy"].method is Method.MEASURED
    assert among_others.metrics["accuracy"].method is Method.SIMULATED
    assert alone.metrics["accuracy"].value == among_others.metrics["accuracy"].value


def test_a_search_offers_simulated_bits_only_where_the_target_runs_and_this_host_does_not():
    gpu, board, here = (find_target(name) for name in ("a100", "raspberry-pi-5", "local-cpu"))
    four = SpaceRequest(bits=(Bits(), Bits(4, 4, "static")))
    eight = SpaceRequest(bits=(Bits(), Bits(8, 8, "static"), Bits(8, 32)))

    assert offers_simulated(four, gpu)
    assert offers_simulated(SpaceRequest(), gpu)  # float16 is among its defaults
    assert not offers_simulated(eight, gpu)
    assert not offers_simulated(four, board)
    assert not offers_simulated(SpaceRequest(), board)
    assert not offers_simulated(four, here)


def test_energy_falls_with_bits_and_has_the_ratio_to_the_reference(scored):
    outcome, reference = scored("stm32h743", **INT8)

    energy = outcome.metrics["energy_mj"]
    assert (energy.unit, energy.method) == ("mJ", Method.MODELLED)
    assert energy.ratio == pytest.approx(reference["energy_mj"].value / energy.value)
    assert energy.ratio > 4


def test_two_of_four_zeros_are_faster_only_where_they_are_skipped(scored):
    dense = {"without": ("stem.0",), **INT8}  # a pattern of four does not fit the stem's rows of nine weights
    sparse = {"prune": Prune(0.5, "2:4"), **dense}

    assert _latency(scored("a100", **sparse)) < _latency(scored("a100", **dense))
    assert _latency(scored("raspberry-pi-5", **sparse)) == _latency(scored("raspberry-pi-5", **dense))


def test_a_calibrated_latency_says_so_and_has_the_interval_of_its_errors(digits, digits_model, tmp_path):
    plain = find_target("raspberry-pi-5")
    fitted = Calibration(dict(plain.efficiency), dict(plain.overhead_us), 0.03, 0.97, 0.25, 12)
    path = tmp_path / "reference.onnx"
    export_float(digits_model, digits, path)
    feed = {"input": np.zeros((1, 1, 8, 8), dtype=np.float32)}

    calibrated = _with(plain, fitted)
    timing = ModelledMeter(calibrated).measure({BASELINE: path}, feed)[BASELINE]

    assert timing.calibrated
    assert (timing.low, timing.ratio, timing.high) == (pytest.approx(0.8), 1.0, pytest.approx(1.25))
    assert timing == ModelledMeter(calibrated).measure({BASELINE: path}, feed, seed=3)[BASELINE]
    assert ModelledMeter(plain).measure({BASELINE: path}, feed)[BASELINE].calibrated is False


def test_the_finish_of_a_modelled_search_repeats_its_latencies_exactly(digits, tmp_path):
    with Evaluator(digits, find_target("x86-vnni"), tmp_path) as evaluator:
        names = [info.name for info in evaluator.inventory(None).layers]
        outcome, path = evaluator.evaluate(Policy(layers={name: LayerPolicy(**INT8) for name in names}))
        results = evaluator.finish({"3": path})

    assert results["3"]["latency_ms"] == outcome.metrics["latency_ms"]
    assert results["3"]["accuracy_test"].split == "test"


def _latency(scored):
    outcome, _ = scored
    assert outcome.status == "completed", outcome.reason
    return outcome.metrics["latency_ms"].value


def _with(target, calibration):
    from dataclasses import replace

    return replace(target, calibration=calibration)
