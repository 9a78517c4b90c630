"""What takes the place of a measuring process where artifacts are timed on another machine."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluators.latency import Timing
from spaces import DeploymentError, MeasurementError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evaluators.backends import Array


class RemoteMeter:
    """Has whoever started this process measure; the interface is that of `evaluators.meter.Meter`.

    Args:
        ask: sends a message and waits for the reply, see `evaluators.children.Line`.

    Attributes:
        host: fingerprint of the machine that measured last, or ``None`` before it has.
    """

    def __init__(self, ask: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._ask = ask
        self.host: dict[str, Any] | None = None

    def measure(
        self,
        artifacts: Mapping[str, Path],
        inputs: Mapping[str, Array],
        *,
        seed: int = 0,
        quiet_ms: float | None = None,
    ) -> dict[str, Timing]:
        """Times one call of each artifact against the one named ``baseline``.

        Raises:
            DeploymentError: the runtime there refuses an artifact.
            MeasurementError: nobody can measure.
        """
        with tempfile.TemporaryDirectory() as scratch:
            feed = Path(scratch) / "feed.npz"
            np.savez(feed, **dict(inputs))  # type: ignore[arg-type]
            paths = {name: str(path) for name, path in artifacts.items()}
            request = {"artifacts": paths, "feed": str(feed), "seed": seed, "quiet_ms": quiet_ms}
            reply = self._ask({"measure": request})
        if "error" in reply:
            kind = DeploymentError if reply["kind"] == DeploymentError.__name__ else MeasurementError
            raise kind(reply["error"])
        self.host = reply["host"]
        return {name: Timing(**timing) for name, timing in reply["timings"].items()}

    def close(self) -> None:
        """Nothing runs here that would have to end."""
