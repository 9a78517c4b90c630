"""The actor that evaluates trials on a node: it holds an evaluating process, and passes files as bytes.

It never touches the database, and ends with the controller that started it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil

from evaluators.cache import cache_root
from search.runners.ray_cluster.packing import pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evaluators import Outcome
    from search.runners.bench import Opened
    from search.runners.crew import Evaluating
    from search.trial import Trial
    from spaces import Metrics

    MakeEvaluating = Callable[[Path, Callable[[], None]], Evaluating]
else:
    MakeEvaluating = Callable
"""Makes an evaluator in a node's directory; it is pickled, and calls back while it waits."""

PREFIX: Final = "tauten-ray-"


class Evaluator:
    """One evaluator; its methods are those of `search.runners.bench.Bench`, with bytes in place of files.

    Args:
        make: gives what evaluates.
    """

    def __init__(self, make: MakeEvaluating) -> None:
        _remove_left()
        self._directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self._bench = make(self._directory, lambda: None)

    def open(
        self, calibrated_ms: float | None, files: bytes | None = None
    ) -> tuple[Opened, bytes, bytes] | None:
        """Makes the reference ready.

        Args:
            calibrated_ms: its latency, or ``None`` to measure it.
            files: of the workload, as another evaluator gave them; put into this machine's cache first.

        Returns:
            Where no files are given: what was opened, the artifact, and the workload's files.
        """
        if files is not None:
            unpack(files, cache_root())
            self._bench.open(calibrated_ms)
            return None
        opened = self._bench.open(calibrated_ms)
        return opened, opened.artifact.read_bytes(), pack(opened.files, cache_root())

    def evaluate(
        self, trial: Trial, unbeatable: Sequence[Mapping[str, float]]
    ) -> tuple[Outcome, bytes | None]:
        """Scores a trial's policy; the artifact does not stay here."""
        outcome, path = self._bench.evaluate(trial, unbeatable)
        if path is None:
            return outcome, None
        content = path.read_bytes()
        path.unlink()
        return outcome, content

    def profile(self, offers: Sequence[Mapping[str, Any]], kind: str) -> dict[str, Any]:
        """Measures sensitivities."""
        return self._bench.profile(offers, kind)

    def repeat(self, trial: Trial, seed: int) -> Metrics:
        """Scores a trial's policy once more."""
        return self._bench.repeat(trial, seed)

    def finish(self, artifacts: Mapping[int, bytes]) -> dict[int, Metrics]:
        """Measures artifacts again, jointly."""
        with self._written(artifacts) as paths:
            return self._bench.finish(paths)

    def retarget(
        self,
        candidates: Mapping[int, Mapping[str, Any]],
        provenance: Mapping[str, Any],
        artifacts: Mapping[int, bytes],
    ) -> dict[int, Outcome]:
        """Scores another job's candidates; their artifacts come beside them."""
        with self._written(artifacts) as paths:
            there = {number: {**found, "path": str(paths[number])} for number, found in candidates.items()}
            return self._bench.retarget(there, provenance)

    @contextmanager
    def _written(self, artifacts: Mapping[int, bytes]) -> Iterator[dict[int, Path]]:
        """Artifacts as files, for as long as the block lasts."""
        with tempfile.TemporaryDirectory(dir=self._directory) as name:
            paths = {number: Path(name) / f"{number}.onnx" for number in artifacts}
            for number, path in paths.items():
                path.write_bytes(artifacts[number])
            yield paths

    def close(self) -> None:
        """Ends what evaluates, and leaves nothing behind."""
        self._bench.close()
        shutil.rmtree(self._directory, ignore_errors=True)


def _remove_left() -> None:
    """Removes directories of evaluators of this machine that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = path.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def received(opened: Opened, content: bytes, directory: Path) -> Opened:
    """What was opened on another machine, with its artifact here."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "reference.onnx"
    path.write_bytes(content)
    return replace(opened, artifact=path)
