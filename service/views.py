"""Documents that need more than one row: trials with their place on the front, and the front itself."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from search.job import Job
from search.optimism import Optimism
from search.pareto import Front
from search.spec import Bound
from search.ties import ties
from search.trial import Trial
from spaces import OBJECTIVES, UNITS, InvalidValue, Method, Metric, Metrics, metrics_from_dict
from storage import Results, Store

CSV_METRICS = ("accuracy", "accuracy_drop", *OBJECTIVES[1:])


class JobView:
    """A job and its front; trials beyond the front are read when they are asked for.

    Attributes:
        job: the job.
        front: of its trials, as points; their documents are `documents`.
    """

    def __init__(
        self, results: Results, store: Store, job: Job, front: Front, constraints: Mapping[str, Bound]
    ) -> None:
        self._results, self._store, self._constraints = results, store, constraints
        self.job, self.front = job, front
        self._members = {trial.number for trial in front.trials}

    @classmethod
    def load(
        cls,
        results: Results,
        store: Store,
        job_id: str,
        *,
        objectives: Sequence[str] = (),
        method: Method | None = None,
        max_accuracy_drop: float | None = None,
        minimize: str | None = None,
    ) -> JobView:
        """Reads a job and its front.

        The front of the job's own objectives is kept while trials end; another one is found from all trials
        once, and then from what has ended since.

        Args:
            results: to read from.
            store: likewise.
            job_id: of the job.
            objectives: to trade off instead of the job's.
            method: how the objectives came about.
            max_accuracy_drop: a constraint instead of the job's.
            minimize: what the chosen trial has least of.

        Raises:
            UnknownName: there is no such job.
            InvalidValue: an objective, or what is to be minimised, is no metric.
        """
        standing = results.standing(job_id)
        job = standing.job
        asked = [("/objectives", name) for name in objectives]
        if minimize is not None:
            asked.append(("/minimize", minimize))
        for pointer, name in asked:
            if name not in UNITS:
                raise InvalidValue.at(pointer, f"unknown metric {name!r}; known are: {', '.join(UNITS)}")
        constraints = dict(job.spec.constraints)
        if max_accuracy_drop is not None:
            constraints = {"accuracy_drop": Bound(high=max_accuracy_drop)}
        wanted = tuple(objectives) or job.spec.objectives
        front = results.front(standing, wanted, constraints, minimize=minimize, method=method)
        return cls(results, store, job, front, constraints)

    @cached_property
    def trials(self) -> list[Trial]:
        """All trials by number."""
        return self._store.all_trials(self.job.id)

    @cached_property
    def extras(self) -> dict[int, dict[str, Any]]:
        """What is known of some trials besides, by number."""
        return self._store.extras(self.job.id)

    def find(self, number: int) -> Trial:
        """One trial.

        Raises:
            UnknownName: there is none of that number.
        """
        return self._store.trial(self.job.id, number)

    def trial(self, trial: Trial) -> dict[str, Any]:
        """A trial's document."""
        return self.placed({**trial.to_dict(), **self.extras.get(trial.number, {})})

    def placed(self, document: dict[str, Any]) -> dict[str, Any]:
        """A trial's document with its place on the front."""
        number = document["trial"]
        return {**document, "is_knee": number == self.front.knee, "on_front": number in self._members}

    def front_document(self) -> dict[str, Any]:
        """The front's document."""
        reference = {"metrics": self.job.reference.get("metrics", {})}
        if "accuracy_test" in self.job.reference:
            reference["accuracy_test"] = self.job.reference["accuracy_test"]
        methods = {
            str(trial.metrics[name].method) for trial in self.front.trials for name in self.front.objectives
        }
        documents = self._results.trials(self.job.id, self._members)
        metrics = {number: metrics_from_dict(item["metrics"]) for number, item in documents.items()}
        tied = ties(metrics, self.front.objectives)
        return {
            "job": self.job.id,
            "objectives": list(self.front.objectives),
            "method": "+".join(sorted(methods)) or "measured",
            "reference": reference,
            "hypervolume": self.front.hypervolume,
            "chosen": self.front.chosen,
            "constraint_binding": self.front.constraint_binding,
            "constraints_met": self.front.constraints_met,
            "optimism": self._optimism(documents, metrics),
            "trials": [
                {**self.placed(documents[trial.number]), "tied_with": tied[trial.number]}
                for trial in self.front.trials
            ],
        }

    def _optimism(
        self, documents: Mapping[int, dict[str, Any]], metrics: Mapping[int, Metrics]
    ) -> dict[str, Any] | None:
        """What the choice is worth on the test split; ``None`` until that was read."""
        drops = {
            number: (metrics[number]["accuracy_drop"], Metric.from_dict(document["accuracy_drop_test"]))
            for number, document in documents.items()
            if "accuracy_drop_test" in document and "accuracy_drop" in metrics[number]
        }
        found = Optimism.of(self.front.chosen, drops, self._constraints.get("accuracy_drop"))
        return None if found is None else found.to_dict()


def trials_csv(documents: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Trial documents as CSV, line by line, the header first; cells that begin like a formula are quoted."""
    buffer = io.StringIO()
    write = csv.writer(buffer, lineterminator="\n").writerow

    def line(cells: Sequence[Any]) -> str:
        buffer.seek(0)
        buffer.truncate()
        write(cells)
        return buffer.getvalue()

    facts = ("trial", "state", "origin", "fidelity", "seconds", "on_front", "is_knee")
    yield line([*facts, *_metric_columns(), "accuracy_test", "reason"])
    parts = [(name, part) for name in CSV_METRICS for part in _parts(name)]
    nothing: dict[str, Any] = {}
    for document in documents:
        metrics = document["metrics"]
        row = [document[name] for name in facts]
        row += [metrics.get(name, nothing).get(part, "") for name, part in parts]
        row += [document.get("accuracy_test", nothing).get("value", ""), _harmless(document["reason"] or "")]
        yield line(row)


def _parts(metric: str) -> tuple[str, ...]:
    if metric.startswith("accuracy"):
        return ("value", "low", "high", *(("p_value",) if metric == "accuracy_drop" else ()))
    if metric == "latency_ms":
        return ("value", "low", "high", "speedup")
    return ("value", "ratio")


def _metric_columns() -> list[str]:
    return [name if part == "value" else f"{name}_{part}" for name in CSV_METRICS for part in _parts(name)]


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
