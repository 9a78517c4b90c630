"""Runtimes that execute artifacts, behind one protocol: what a target's ``runtime.backend`` names."""

from evaluators.backends.backend import (
    Array,
    DeploymentBackend,
    Execution,
    Input,
    Session,
    check_feed,
    first_line,
)
from evaluators.backends.registry import BACKENDS, find_backend

__all__ = [
    "BACKENDS",
    "Array",
    "DeploymentBackend",
    "Execution",
    "Input",
    "Session",
    "check_feed",
    "find_backend",
    "first_line",
]
