import os
import signal

import numpy as np
import psutil
import pytest

from compression import export_float
from evaluators.backends import Execution
from evaluators.latency import BASELINE, MIN_ROUNDS, _summary, time_calls
from evaluators.meter import Meter
from evaluators.rounds import Round
from spaces import DeploymentError, MeasurementError


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


def test_by_the_wall_the_ratios_are_those_of_the_time_that_passes():
    import time

    def sleeping(seconds):
        return lambda: time.sleep(seconds)

    timings = time_calls({BASELINE: [sleeping(0.004)], "half": [sleeping(0.002)]}, clock="wall")

    assert timings["half"].ratio == pytest.approx(0.5, rel=0.2)
    assert timings["half"].clock == "wall"
    assert timings["half"].call_ms == timings["half"].wall_ms > 10 * timings["half"].cpu_ms


def disturbed(share, rounds=60, seed=0):
    """Calls of 100 and 50 microseconds, a share of which takes up to three times as long; each by its own luck."""
    generator = np.random.default_rng(seed)

    def one(microseconds):
        slow = generator.random() < share
        return int(
            microseconds * 1e3 * generator.uniform(1, 1.02) * (generator.uniform(1.2, 3) if slow else 1)
        )

    names = {BASELINE: 100, "half": 50}
    return [
        Round({name: (time, 2 * time) for name, time in ((name, one(us)) for name, us in names.items())}, 0.0)
        for _ in range(rounds)
    ]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.75])
def test_calls_that_are_disturbed_move_no_ratio_as_long_as_some_are_not(share):
    for seed in range(5):
        timing = _summary("half", disturbed(share, seed=seed), seed, "cpu", contended=False)

        assert timing.ratio == pytest.approx(0.5, rel=0.03)
        assert timing.low <= timing.ratio <= timing.high
        assert timing.cpu_ms == pytest.approx(0.05, rel=0.04)


def test_a_call_that_waits_twice_as_long_as_it_computes_is_contended():
    assert _summary("half", disturbed(0.0), 0, "cpu", contended=False).contended
    assert not _summary("half", disturbed(0.0), 0, "wall", contended=False).contended


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

    with pytest.raises(DeploymentError, match="takes batch x 1 x 8 x 8, but 1 x 3 x 8 x 8 was given"):
        meter.measure({BASELINE: reference}, wrong)
    assert meter.measure({BASELINE: reference}, FEED)[BASELINE].ratio == 1.0


def measured(execution, paths, feed=FEED):
    meter = Meter(execution)
    try:
        return meter.measure(paths, feed)
    finally:
        meter.close()


def test_two_threads_are_timed_by_the_wall(reference):
    timings = measured(Execution(threads=2), {BASELINE: reference, "same": reference})

    assert timings["same"].clock == "wall"
    assert timings["same"].ratio == pytest.approx(1.0, abs=0.3)
    assert timings["same"].rounds >= MIN_ROUNDS


def test_more_threads_than_cores_are_refused_before_anything_is_measured(reference):
    with pytest.raises(MeasurementError, match=r"500 threads cannot be measured on .* usable cores"):
        measured(Execution(threads=500), {BASELINE: reference})


def test_openvino_is_measured_like_any_other(reference):
    same = measured(Execution("openvino"), {BASELINE: reference, "same": reference})["same"]

    # A machine that leaves it no core makes any ratio of so few calls; then the timing says so.
    assert same.contended or same.ratio == pytest.approx(1.0, abs=0.1)
    assert same.rounds >= MIN_ROUNDS
    assert same.clock == "cpu"


def test_a_batch_of_eight_takes_longer_than_one(reference):
    eight = {"input": np.zeros((8, 1, 8, 8), dtype=np.float32)}

    one, more = (measured(Execution(), {BASELINE: reference}, feed)[BASELINE] for feed in (FEED, eight))

    assert more.cpu_ms > 3 * one.cpu_ms


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system pins no processes")
@pytest.mark.parametrize(("execution", "cores"), [(Execution(), 1), (Execution(pin=False), None)])
def test_the_measuring_process_is_pinned_if_the_target_says_so(reference, execution, cores):
    meter = Meter(execution)
    try:
        meter.measure({BASELINE: reference}, FEED)
        (child,) = (
            child for child in psutil.Process().children() if "evaluators.meter" in " ".join(child.cmdline())
        )
        assert len(child.cpu_affinity()) == (cores or len(os.sched_getaffinity(0)))
    finally:
        meter.close()


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "500"])
def test_a_patience_that_is_no_number_of_seconds_is_named(monkeypatch, tmp_path, text):
    monkeypatch.setenv("TAUTEN_PATIENCE_S", text)

    with pytest.raises(MeasurementError, match="TAUTEN_PATIENCE_S must be seconds above 0 and below 120"):
        Meter().measure({"baseline": tmp_path / "x.onnx"}, {})
