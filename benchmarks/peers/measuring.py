"""Candidates of a tool under our evaluator: chosen on validation, measured beside our front, then tested."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from benchmarks.headline.bars import LOST
from benchmarks.peers.peer import Ground, Peer
from compression import one_line
from evaluators.evaluator import Evaluator
from evaluators.latency import BASELINE
from evaluators.targets import find_target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from compression import Workload


@dataclass(frozen=True, slots=True)
class Point:
    """A file, measured.

    Attributes:
        name: what was asked of the tool.
        drop: of accuracy on validation, a fraction.
        lost: of accuracy on test, a fraction.
        speedup: over the same runtime's fp32 file.
        ratio: of sizes, the same.
    """

    name: str
    drop: float
    lost: float
    speedup: float
    ratio: float

    def dominates(self, other: Point) -> bool:
        """At least as good in accuracy on test, speed and size, and better in one."""
        ours, theirs = ((p.lost, -p.speedup, -p.ratio) for p in (self, other))
        return all(a <= b for a, b in zip(ours, theirs, strict=True)) and ours != theirs


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool gave.

    Attributes:
        peer: its name.
        version: of its distribution; empty where it is not installed.
        error: why it has no points, in one line; else empty.
        points: its candidates.
        ours: our front, measured in the same run where the runtime is the same.
    """

    peer: str
    version: str
    error: str
    points: tuple[Point, ...] = ()
    ours: tuple[Point, ...] = ()

    @property
    def best(self) -> Point | None:
        """Its fastest within a point on validation."""
        allowed = [point for point in self.points if point.drop <= LOST]
        return max(allowed, key=lambda point: point.speedup, default=None)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Result:
        """Reads the JSON form."""
        points, ours = (tuple(Point(**item) for item in document[key]) for key in ("points", "ours"))
        return cls(document["peer"], document["version"], document["error"], points, ours)


def try_peer(
    peer: Peer, workload: Workload, ours: Mapping[str, Path], directory: Path, *, epochs: float, seed: int
) -> Result:
    """Runs a tool, and measures what it made together with our front; a result from before is read again.

    Args:
        peer: the tool.
        workload: of both.
        ours: files of our front by name.
        directory: of this tool's files and result.
        epochs: of fine-tuning.
        seed: of everything random.
    """
    directory.mkdir(parents=True, exist_ok=True)
    kept = directory / "result.json"
    if kept.is_file():
        return Result.from_dict(json.loads(kept.read_text()))
    try:
        found = version(peer.distribution)
    except PackageNotFoundError:
        return Result(peer.name, "", f"{peer.distribution} is not installed")
    try:
        with Evaluator(workload, find_target(peer.target), directory / "reference", seed=seed) as evaluator:
            made = list(peer.make(Ground(evaluator, directory, epochs, seed)))
            points = _measure(evaluator, {item.name: item.path for item in made})
            front = _measure(evaluator, dict(ours)) if peer.target == "local-cpu" else ()
    except Exception as error:  # noqa: BLE001  # tools raise what they like; it is listed
        return Result(peer.name, found, one_line(error))
    result = Result(peer.name, found, "", points, front)
    aside = kept.with_name(".result.json")
    aside.write_text(json.dumps(result.to_dict(), indent=2) + "\n")
    aside.replace(kept)
    return result


def _measure(evaluator: Evaluator, paths: dict[str, Path]) -> tuple[Point, ...]:
    joint = evaluator.finish(paths)
    before = joint[BASELINE]["accuracy_test"].value
    found = []
    for name, path in paths.items():
        speedup, ratio = joint[name]["latency_ms"].speedup, evaluator.stored(path)["size_bytes"].ratio
        assert speedup is not None
        assert ratio is not None
        drop = evaluator.accuracies(path)["accuracy_drop"].value
        found.append(Point(name, drop, before - joint[name]["accuracy_test"].value, speedup, ratio))
    return tuple(found)
