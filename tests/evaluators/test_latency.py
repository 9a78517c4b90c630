import os
import signal

import numpy as np
import psutil
import pytest

from compression import export_float
from evaluators.latency import BASELINE, MIN_ROUNDS, time_calls
from evaluators.meter import Meter
from spaces import DeploymentError


def busy(count):
    """A call whose CPU time is proportional to a count."""
    return lambda: sum(range(count))


def test_ratios_are_those_of_the_work():
    timings = time_calls({BASELINE: [busy(40_000)], "half": [busy(20_000)], "double": [busy(80_000)]})

    assert timings["half"].ratio == pytest.approx(0.5, rel=0.15)
    assert timings["double"].ratio == pytest.approx(2.0, rel=0.15)


def test_the_baseline_is_one_by_definition_and_intervals_hold_their_value():
    timings = time_calls({BASELINE: [busy(10_000)], "other": [busy(15_000), busy(15_000)]})

    assert timings[BASELINE].ratio == timings[BASELINE].low == timings[BASELINE].high == 1.0
    assert timings["other"].low <= timings["other"].ratio <= timings["other"].high
    assert timings["other"].rounds >= MIN_ROUNDS


def test_a_baseline_that_is_never_as_fast_as_in_quiet_marks_the_run_contended():
    timings = time_calls({BASELINE: [busy(40_000)], "half": [busy(20_000)]}, quiet_ms=1e-6)

    assert timings["half"].contended
    assert timings["half"].ratio == pytest.approx(0.5, rel=0.2)


def test_without_a_baseline_nothing_can_be_said():
    with pytest.raises(KeyError):
        time_calls({"only": [busy(10)]})


@pytest.fixture
def reference(digits, digits_model, tmp_path):
    path = tmp_path / "reference.onnx"
    export_float(digits_model, digits, path)
    return path


@pytest.fixture
def meter():
    meter = Meter()
    yield meter
    meter.close()


FEED = {"input": np.zeros((1, 1, 8, 8), dtype=np.float32)}


def test_the_same_file_against_itself_takes_the_same_time(meter, reference):
    timings = meter.measure({BASELINE: reference, "same": reference}, FEED)

    assert timings["same"].ratio == pytest.approx(1.0, abs=0.1)
    assert timings["same"].cpu_ms > 0


def test_a_measuring_process_that_was_killed_is_replaced(meter, reference):
    meter.measure({BASELINE: reference}, FEED)
    for child in psutil.Process().children():
        if "evaluators.meter" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
            child.wait(5)

    assert meter.measure({BASELINE: reference}, FEED)[BASELINE].ratio == 1.0


def test_a_file_that_is_no_model_is_refused_and_the_process_lives_on(meter, reference, tmp_path):
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(reference.read_bytes()[:1000])

    with pytest.raises(DeploymentError, match="refuses the artifact"):
        meter.measure({BASELINE: reference, "damaged": damaged}, FEED)
    assert meter.measure({BASELINE: reference}, FEED)[BASELINE].rounds >= MIN_ROUNDS


def test_inputs_that_do_not_fit_the_model_are_said_and_the_process_lives_on(meter, reference):
    wrong = {"input": np.zeros((1, 3, 8, 8), dtype=np.float32)}

    with pytest.raises(DeploymentError, match="fails on the example inputs"):
        meter.measure({BASELINE: reference}, wrong)
    assert meter.measure({BASELINE: reference}, FEED)[BASELINE].ratio == 1.0
