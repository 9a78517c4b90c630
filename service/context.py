"""What every route needs, made once by the application and handed out by FastAPI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from evaluators.targets import Target
from evaluators.workloads import WorkloadInfo
from service.schemas import ProblemOut
from service.settings import Settings
from storage import ArtifactStore, Database, Store


@dataclass(frozen=True)
class Context:
    """The application's parts.

    Attributes:
        settings: of the process.
        database: migrated.
        store: over the database.
        artifacts: finished files.
        workloads: registered names, read at start.
        targets: by name, read at start.
        is_stopping: the server is shutting down; streams end.
    """

    settings: Settings
    database: Database
    store: Store
    artifacts: ArtifactStore
    workloads: dict[str, WorkloadInfo]
    targets: dict[str, Target]
    is_stopping: Callable[[], bool]


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]

_DESCRIPTIONS = {
    400: "The body is not JSON.",
    404: "Nothing has that name.",
    409: "The resource's state forbids it.",
    413: "The body is too large.",
    422: "A field is wrong; the pointers say which.",
    503: "The database cannot serve.",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for the OpenAPI document."""
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": {"application/problem+json": {"schema": ProblemOut.model_json_schema()}},
        }
        for status in (*statuses, 503)
    }
