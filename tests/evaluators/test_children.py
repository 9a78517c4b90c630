import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from evaluators import Child
from spaces import MeasurementError

MODULE = "tests.evaluators.echo"


@pytest.fixture
def child():
    child = Child(MODULE)
    yield child
    child.kill()


def only_child():
    return next(p for p in psutil.Process().children() if MODULE in " ".join(p.cmdline()))


def test_a_child_answers_and_what_it_prints_does_not_mix_in(child):
    child.send({"do": "echo", "say": "hello"})

    assert child.receive(20) == {"said": "hello"}


def test_a_child_that_takes_too_long_is_ended(child):
    child.send({"do": "sleep"})

    with pytest.raises(MeasurementError, match=r"longer than its limit of 0\.5 s"):
        child.receive(0.5)
    assert not child.is_alive


def test_a_child_that_keeps_talking_is_ended_by_the_limit_of_the_whole_request(child):
    def listen(since):
        while True:
            assert child.receive(1, since=since) == {"share": 0.5}

    child.send({"do": "chatter"})

    with pytest.raises(MeasurementError, match="longer than its limit of 1 s"):
        listen(time.monotonic())
    assert not child.is_alive


def test_a_child_that_takes_too_much_memory_is_ended(child):
    child.send({"do": "hoard", "megabytes": 300})

    with pytest.raises(MeasurementError, match=r"more than its limit of 0\.2 GiB"):
        child.receive(30, memory_bytes=200 * 2**20)
    assert not child.is_alive


def test_a_child_that_dies_is_told_with_its_exit_code(child):
    child.send({"do": "die"})

    with pytest.raises(MeasurementError, match="has ended with exit code 3"):
        child.receive(20)


def test_a_child_that_is_killed_is_told_with_the_signal(child):
    process = only_child()
    child.send({"do": "sleep"})
    os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(MeasurementError, match="by signal SIGKILL"):
        child.receive(20)


def test_waiting_can_be_interrupted(child):
    def stop():
        raise KeyboardInterrupt

    child.send({"do": "sleep"})

    with pytest.raises(KeyboardInterrupt):
        child.receive(20, idle=stop)


def test_a_child_does_not_outlive_its_parent_even_in_the_middle_of_work():
    program = (
        "from evaluators import Child; import os\n"
        f"child = Child({MODULE!r}); child.send({{'do': 'echo', 'say': 1}}); child.receive(20)\n"
        "child.send({'do': 'sleep'}); print(child._process.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    parent = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    orphan = int(parent.stdout)

    if psutil.pid_exists(orphan):
        gone, alive = psutil.wait_procs([psutil.Process(orphan)], timeout=10)
        assert gone
        assert not alive
