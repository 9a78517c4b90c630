"""The process in which policies are compressed and scored; run as ``python -m evaluators.process``.

It holds torch and the user's workload, so that a controller without either can limit its time and memory,
and end it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from evaluators.cache import used_files
from evaluators.children import Line, serve
from evaluators.gate import Gate
from evaluators.remote_meter import RemoteMeter
from spaces import (
    CompressionError,
    MeasurementError,
    Policy,
    Student,
    TautenError,
    defaults_for,
    metrics_to_dict,
)

REPORT_EVERY_S: Final = 0.5
Answer = Line | Callable[[dict[str, Any]], None]


def use_threads(count: int | None = None) -> None:
    """Has torch train on a number of threads, all cores if ``None``, whatever the environment says.

    The weights that training gives depend on it, so that a policy must be compressed on as many as before.
    """
    import torch

    torch.set_num_threads(count or os.cpu_count() or 1)


class Desk:
    """Answers: ``open`` first, then ``profile``, ``evaluate``, ``repeat``, ``finish``, ``retarget``."""

    def __init__(self) -> None:
        self._evaluator: Any = None

    def handle(self, request: dict[str, Any], answer: Answer) -> None:
        """Answers one request; an error becomes ``{"error", "kind"}``, and the process lives on."""
        try:
            answer(getattr(self, f"_{request['do']}")(request, answer))
        except TautenError as error:
            answer({"error": str(error), "kind": type(error).__name__})
        except Exception as error:  # noqa: BLE001  # what user code raises must reach the controller in words
            answer({"error": f"{type(error).__name__}: {error}", "kind": "WorkloadError"})

    def _open(self, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
        from evaluators.evaluator import Evaluator
        from evaluators.targets import Target
        from evaluators.workloads import load_workload

        use_threads(request.get("threads"))
        answer({"stage": f"loading workload {request['workload']}"})
        workload = load_workload(request["workload"], allow_files=request["allow_files"])
        answer({"stage": "preparing the reference (a first use trains it)"})
        self._evaluator = Evaluator(
            workload,
            Target.from_dict(request["target"]),
            Path(request["directory"]),
            seed=request["seed"],
            calibrated_ms=request.get("calibrated_ms"),
            offers_simulated=request.get("offers_simulated", False),
            meter=_remote(answer) if request.get("is_measured_elsewhere") else None,
        )
        inventories, skipped = self._inventories(
            [item and Student.from_dict(item) for item in request["students"]], request.get("hint")
        )
        reference = self._evaluator.reference
        return {
            "inventories": inventories,
            "skipped": skipped,
            "metrics": metrics_to_dict(reference.metrics),
            "calibrated_ms": reference.calibrated_ms,
            "artifact": str(reference.artifact.path),
            "provenance": self._evaluator.provenance(),
            "files": sorted(str(path) for path in used_files()),
        }

    def _inventories(self, students: list[Student | None], hint: str | None) -> tuple[list[Any], list[str]]:
        """Inventories of the students asked for; of the default ones, those that this model has."""
        inventories, skipped = [], []
        capabilities = self._evaluator.target.capabilities
        for student in students or defaults_for(capabilities, hint).students:
            try:
                inventory = self._evaluator.inventory(student)
            except CompressionError as error:
                if students:
                    raise
                skipped.append(f"student {student}: {error}")
            else:
                inventories.append([student and student.to_dict(), inventory.to_dict()])
        return inventories, skipped

    def _evaluate(self, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
        report = _sometimes(answer)
        gate = Gate(request.get("unbeatable", ()))
        outcome, path = self._evaluator.evaluate(
            Policy.from_dict(request["policy"]), gate=gate, report=report
        )
        return {"outcome": outcome.to_dict(), "path": path and str(path)}

    def _repeat(self, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
        answer({"stage": "training a finalist again with another seed"})
        found = self._evaluator.repeat(
            Policy.from_dict(request["policy"]), request["seed"], report=_sometimes(answer)
        )
        return {"metrics": metrics_to_dict(found)}

    def _retarget(self, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
        """Scores finished candidates on this process's target, see `evaluators.retarget`."""
        from evaluators.retarget import Candidate, retarget

        candidates = {
            name: Candidate.from_dict(document, Path(document["path"]))
            for name, document in request["candidates"].items()
        }
        outcomes = retarget(
            self._evaluator, candidates, request["provenance"], lambda share: answer({"share": share})
        )
        return {"outcomes": {name: outcome.to_dict() for name, outcome in outcomes.items()}}

    def _profile(self, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
        from evaluators.offer import Offer
        from evaluators.sensitivity import measure_profile

        answer({"stage": "taking the profile"})
        offers = [Offer.from_dict(offer) for offer in request["offers"]]
        return {"profile": measure_profile(self._evaluator, offers, request["kind"], _sometimes(answer))}

    def _finish(self, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
        artifacts = {name: Path(path) for name, path in request["artifacts"].items()}
        answer({"stage": "measuring the front again, jointly"})
        results = self._evaluator.finish(artifacts)
        return {"results": {name: metrics_to_dict(metrics) for name, metrics in results.items()}}


def _remote(line: Answer) -> RemoteMeter:
    """Measures by asking whoever started this process."""
    if not isinstance(line, Line):
        raise MeasurementError("only a process of its own can have its artifacts measured elsewhere")
    return RemoteMeter(line.ask)


def _sometimes(answer: Answer) -> Callable[[float], None]:
    """Tells the share of some work that is done, but not too often."""
    last = time.monotonic()

    def report(share: float) -> None:
        nonlocal last
        if time.monotonic() - last > REPORT_EVERY_S:
            last = time.monotonic()
            answer({"share": share})

    return report


if __name__ == "__main__":
    serve(Desk().handle)
