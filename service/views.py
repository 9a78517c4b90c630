"""Documents that need more than one row: trials with their place on the front, and the front itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from search.job import Job
from search.pareto import Front, find_front, hypervolume
from search.trial import Trial
from spaces import UNITS, InvalidValue, Method, Metrics, metrics_from_dict
from storage import Store

CSV_METRICS = ("accuracy", "accuracy_drop", "latency_ms", "size_bytes", "macs")


@dataclass(frozen=True)
class JobView:
    """A job with all its trials and their front.

    Attributes:
        job: the job.
        trials: by number.
        extras: what is known of some trials besides.
        front: of the trials.
    """

    job: Job
    trials: list[Trial]
    extras: dict[int, dict[str, Any]]
    front: Front

    @classmethod
    def load(
        cls,
        store: Store,
        job_id: str,
        *,
        objectives: Sequence[str] = (),
        method: Method | None = None,
        max_accuracy_drop: float | None = None,
        minimize: str | None = None,
    ) -> JobView:
        """Reads a job and finds its front.

        Args:
            store: to read from.
            job_id: of the job.
            objectives: to trade off instead of the job's.
            method: how the objectives came about.
            max_accuracy_drop: a constraint instead of the job's.
            minimize: what the chosen trial has least of.

        Raises:
            UnknownName: there is no such job.
            InvalidValue: an objective, or what is to be minimised, is no metric.
        """
        from search.spec import Bound

        job = store.job(job_id)
        asked = [("/objectives", name) for name in objectives]
        if minimize is not None:
            asked.append(("/minimize", minimize))
        for pointer, name in asked:
            if name not in UNITS:
                raise InvalidValue.at(pointer, f"unknown metric {name!r}; known are: {', '.join(UNITS)}")
        constraints = dict(job.spec.constraints)
        if max_accuracy_drop is not None:
            constraints = {"accuracy_drop": Bound(high=max_accuracy_drop)}
        trials = store.all_trials(job_id)
        front = find_front(
            trials,
            tuple(objectives) or job.spec.objectives,
            reference_of(job),
            constraints,
            minimize=minimize,
            method=method,
        )
        return cls(job, trials, store.extras(job_id), front)

    def trial(self, trial: Trial) -> dict[str, Any]:
        """A trial's document."""
        number = trial.number
        place = {
            "is_knee": number == self.front.knee,
            "on_front": any(number == member.number for member in self.front.trials),
        }
        return {**trial.to_dict(), **self.extras.get(number, {}), **place}

    def front_document(self) -> dict[str, Any]:
        """The front's document."""
        reference = {"metrics": self.job.reference.get("metrics", {})}
        if "accuracy_test" in self.job.reference:
            reference["accuracy_test"] = self.job.reference["accuracy_test"]
        methods = {
            str(trial.metrics[name].method) for trial in self.front.trials for name in self.front.objectives
        }
        return {
            "job": self.job.id,
            "objectives": list(self.front.objectives),
            "method": "+".join(sorted(methods)) or "measured",
            "reference": reference,
            "hypervolume": self.front.hypervolume,
            "chosen": self.front.chosen,
            "constraint_binding": self.front.constraint_binding,
            "constraints_met": self.front.constraints_met,
            "trials": [self.trial(trial) for trial in self.front.trials],
        }

    def hypervolumes(self) -> list[dict[str, Any]]:
        """The hypervolume after each trial that counts, with the seconds of evaluation until then."""
        seen: list[Trial] = []
        rows, seconds = [], 0.0
        reference = reference_of(self.job)
        for trial in self.trials:
            if not trial.state.counts:
                continue
            seconds += trial.seconds
            seen = list(find_front([*seen, trial], self.front.objectives, reference).trials)
            value = hypervolume(seen, self.front.objectives, reference)
            rows.append({"trial": trial.number, "elapsed_s": seconds, "hypervolume": value})
        return rows


def reference_of(job: Job) -> Metrics:
    """Metrics of the uncompressed model; empty until a worker has them."""
    return metrics_from_dict(job.reference.get("metrics", {}))


def trials_csv(documents: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Trial documents as CSV, line by line, the header first; cells that begin like a formula are quoted."""
    yield _line(
        ["trial", "state", "origin", "on_front", "is_knee", *_metric_columns(), "accuracy_test", "reason"]
    )
    for document in documents:
        metrics = document["metrics"]
        row: list[Any] = [document[name] for name in ("trial", "state", "origin", "on_front", "is_knee")]
        for name in CSV_METRICS:
            metric = metrics.get(name, {})
            row += [metric.get(part, "") for part in _parts(name)]
        row += [document.get("accuracy_test", {}).get("value", ""), _harmless(document["reason"] or "")]
        yield _line(row)


def _parts(metric: str) -> tuple[str, ...]:
    gain = {"latency_ms": ("speedup",), "size_bytes": ("ratio",), "macs": ("ratio",)}.get(metric, ())
    interval = () if metric in {"size_bytes", "macs"} else ("low", "high")
    return ("value", *interval, *gain)


def _metric_columns() -> list[str]:
    return [name if part == "value" else f"{name}_{part}" for name in CSV_METRICS for part in _parts(name)]


def _line(cells: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
