"""What distinguishes trials: only fields that differ, so that a long policy shows the few that matter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spaces import escape

Document = dict[str, Any]


def compare(trials: Sequence[Document]) -> Document:
    """Trials side by side; every list of values is in the order of the trials.

    Args:
        trials: documents of at least two.

    Returns:
        ``trials`` are the numbers; ``policy`` the policies' fields that differ, by JSON pointer, and
        ``executed_as`` the layers that run differently, where ``None`` is a field that a trial has not;
        ``metrics`` all values, and how far each lies above the first trial's.
    """
    policies = [dict(_leaves(trial["policy"])) for trial in trials]
    executed = [trial["executed_as"] for trial in trials]
    names = dict.fromkeys(name for trial in trials for name in trial["metrics"])
    return {
        "trials": [trial["trial"] for trial in trials],
        "states": [trial["state"] for trial in trials],
        "policy": [{"pointer": pointer, "values": values} for pointer, values in _differing(policies)],
        "executed_as": [{"layer": layer, "values": values} for layer, values in _differing(executed)],
        "metrics": [_metric(name, [trial["metrics"].get(name) for trial in trials]) for name in names],
    }


def _metric(name: str, metrics: Sequence[Document | None]) -> Document:
    first = metrics[0]
    differences = [
        None if metric is None or first is None else metric["value"] - first["value"] for metric in metrics
    ]
    return {"metric": name, "values": list(metrics), "differences": differences}


def _differing(documents: Sequence[Document]) -> Iterator[tuple[str, list[Any]]]:
    for key in dict.fromkeys(key for document in documents for key in document):
        values = [document.get(key) for document in documents]
        if any(value != values[0] for value in values):
            yield key, values


def _leaves(document: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(document, dict) and document:
        for key, value in document.items():
            yield from _leaves(value, f"{pointer}/{escape(str(key))}")
    else:
        yield pointer, document
