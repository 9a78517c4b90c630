"""ONNX Runtime on the CPU, with the options that a user's default session has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluators.runtime import open_session
from spaces import Method

if TYPE_CHECKING:
    from pathlib import Path

    from evaluators.backends.backend import Session


class OnnxRuntime:
    """The default backend; see `evaluators.backends.DeploymentBackend`."""

    method = Method.MEASURED

    def open(self, path: Path, threads: int = 1) -> Session:
        """Loads an artifact."""
        return open_session(path, threads)

    def executed_as(self, path: Path) -> dict[str, str]:
        """Read from the graph that the runtime has optimized."""
        from evaluators.executed import read_executed  # it loads torch, which no measuring process needs

        return read_executed(path)
