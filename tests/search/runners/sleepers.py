"""Evaluators that are hit by something, once: what they do is told by files, since they run elsewhere."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.scale.sleeper import Sleeper
from spaces import WorkloadError


@dataclass
class Unlucky(Sleeper):
    """Writes the process that evaluates a trial into a file, and waits while a file ``hold`` is there."""

    told: Path = Path()

    def evaluate(self, trial, unbeatable):
        (self.told / f"trial{trial.number}").write_text(str(os.getpid()))
        while (self.told / "hold").exists():
            time.sleep(0.02)
        return super().evaluate(trial, unbeatable)


@dataclass
class Killed(Unlucky):
    """Its process is killed in the middle of trial 2, as often as is written in a file ``kills``."""

    def evaluate(self, trial, unbeatable):
        left = int((self.told / "kills").read_text())
        if trial.number == 2 and left:
            (self.told / "kills").write_text(str(left - 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(trial, unbeatable)


@dataclass
class Hanging(Unlucky):
    """Does not come back from trial 1, the first time."""

    def evaluate(self, trial, unbeatable):
        marker = self.told / "hung"
        if trial.number == 1 and not marker.exists():
            marker.touch()
            time.sleep(3600)
        return super().evaluate(trial, unbeatable)


@dataclass
class Unready(Sleeper):
    """Cannot open its workload."""

    def open(self, calibrated_ms):
        raise WorkloadError("no such data on this node")
