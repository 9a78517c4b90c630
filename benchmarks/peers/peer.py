"""What a tool is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from evaluators.evaluator import Evaluator


@dataclass(frozen=True, slots=True)
class Ground:
    """The same for every tool.

    Attributes:
        evaluator: of the workload on ``local-cpu``, with its reference; its fp32 file is where tools start.
        directory: for the files that a tool makes.
        epochs: of fine-tuning, on labels, as our own searches have them.
        seed: of everything random.
    """

    evaluator: Evaluator
    directory: Path
    epochs: float
    seed: int


@dataclass(frozen=True, slots=True)
class Made:
    """A candidate of a tool.

    Attributes:
        name: what was asked of the tool.
        path: the ONNX file.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool and how it is used.

    Attributes:
        name: with its technique.
        distribution: on which its version is looked up; it must be installed.
        target: where its files are measured, always against the same runtime's fp32 file.
        make: yields its candidates, one after another.
    """

    name: str
    distribution: str
    make: Callable[[Ground], Iterator[Made]]
    target: str = "local-cpu"


UNTRIED = {
    "neural-compressor": "its autotune",
    "olive-ai": "its search over ONNX passes",
    "nvidia-modelopt": "AutoQuantize, which only simulates on a CPU",
}
"""Tools that are listed as not tried: there is no adapter, or they do not install beside ours."""
