"""What every route needs, made once by the application and handed out by FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from evaluators.targets import Target
from evaluators.workloads import WorkloadInfo
from service.answers import Answers
from service.figures import Figures
from service.hub import Hub
from service.in_flight import KeysInFlight
from service.schemas import ErrorOut, ProblemOut
from service.settings import Settings
from storage import ArtifactStore, Database, KeyRing, Results, Store, WorkerList


@dataclass(frozen=True)
class Context:
    """The application's parts.

    Attributes:
        settings: of the process.
        database: migrated.
        store: over the database, as are results, keys and workers.
        results: what jobs have found.
        keys: API keys and sessions.
        workers: the list of workers.
        artifacts: finished files.
        workloads: registered names, read at start.
        targets: by name, read at start.
        figures: for Prometheus.
        hub: where streams wait.
        answers: that were made before.
        in_flight: idempotency keys of requests that are being answered.
        is_stopping: the server is shutting down; streams end.
    """

    settings: Settings
    database: Database
    store: Store
    results: Results
    keys: KeyRing
    workers: WorkerList
    artifacts: ArtifactStore
    workloads: dict[str, WorkloadInfo]
    targets: dict[str, Target]
    figures: Figures
    hub: Hub
    answers: Answers
    in_flight: KeysInFlight
    is_stopping: Callable[[], bool]


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]

_DESCRIPTIONS = {
    400: "The body is not JSON, or the service is not known by the name in Host.",
    401: "An API key is needed.",
    403: "The key's scope does not include this, or a page of another origin asked.",
    404: "Nothing has that name.",
    409: "The resource's state forbids it.",
    412: "The resource has changed since the entity tag in If-Match.",
    413: "The body is too large.",
    414: "The address is too long.",
    422: "A field is wrong; the pointers say which.",
    429: "As many jobs wait as the key allows; Retry-After says when to try again.",
    431: "The headers are too large.",
    503: "The database or the disk cannot serve.",
}

ALWAYS = (400, 414, 431, 503)
"""What any call may answer."""

GUARDED = (401, 403)
"""What any call that needs a key may answer besides."""


def problems(*statuses: int, guarded: bool = True) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for the OpenAPI document.

    Args:
        statuses: besides those that any call may answer.
        guarded: the call needs a key where the service does.
    """
    every = {*statuses, *ALWAYS, *(GUARDED if guarded else ())}
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": {"application/problem+json": {"schema": _problem_schema()}},
        }
        for status in sorted(every)
    }


def _problem_schema() -> dict[str, Any]:
    """A problem's schema with the faults' inside it: a reference would point into the OpenAPI document."""
    schema = ProblemOut.model_json_schema()
    faults = schema.pop("$defs")[ErrorOut.__name__]
    schema["properties"]["errors"]["items"] = faults
    return schema


NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "What the entity tag in If-None-Match names has not changed."}
}
