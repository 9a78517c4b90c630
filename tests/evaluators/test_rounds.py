import os
import subprocess
import sys
from pathlib import Path

import pytest

from evaluators.rounds import Round, quiet_rounds, waited_ns


def turn(cpu, wall, waited=0.0):
    return Round({"baseline": (cpu, wall), "other": (1, 1)}, waited)


def test_rounds_whose_baseline_is_slow_do_not_count():
    rounds = [turn(100, 100), turn(109, 300), turn(120, 120), turn(100, 111)]

    assert quiet_rounds(rounds, "baseline", 100e-6, "cpu") == [0, 1, 3]
    assert quiet_rounds(rounds, "baseline", 100e-6, "wall") == [0]


def test_by_the_wall_rounds_whose_threads_waited_for_a_core_do_not_count():
    rounds = [turn(100, 100, 0.5), turn(100, 100, 0.01)]

    assert quiet_rounds(rounds, "baseline", None, "wall") == [1]
    assert quiet_rounds(rounds, "baseline", None, "cpu") == [0, 1]


def test_without_a_quiet_baseline_the_fastest_rounds_say_what_quiet_is():
    rounds = [turn(cpu, cpu) for cpu in (100, 101, 102, 150, 160, 103)]

    assert quiet_rounds(rounds, "baseline", None, "cpu") == [0, 1, 2, 5]


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not tell")
def test_a_thread_that_shares_its_core_waits_for_it():
    core = max(os.sched_getaffinity(0))
    before_cores = os.sched_getaffinity(0)
    spin = f"import os; os.sched_setaffinity(0, [{core}]); print(flush=True)\nwhile True: pass"
    rival = subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE)
    try:
        rival.stdout.readline()
        os.sched_setaffinity(0, {core})
        before = waited_ns()
        for _ in range(200):
            sum(range(20_000))
        assert waited_ns() - before > 1e6
    finally:
        os.sched_setaffinity(0, before_cores)
        rival.kill()
        rival.wait()
        rival.stdout.close()
