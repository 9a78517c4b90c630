"""Whether the process lives and can serve, and what monitoring asks for."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.context import Ctx, problems
from service.figures import CONTENT_TYPE
from service.room import check_room
from service.schemas import ReadyOut

router = APIRouter(tags=["health"])
guarded = APIRouter(tags=["health"])


@router.get("/healthz", responses=problems(guarded=False), operation_id="health")
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", response_model=ReadyOut, responses=problems(guarded=False), operation_id="ready")
def ready(context: Ctx) -> dict[str, str]:
    """The database is reachable and at the newest schema, and there is room for more."""
    context.database.check()
    check_room(context.settings, context.database)
    return {"status": "ready"}


@guarded.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
    operation_id="metrics",
)
def metrics(context: Ctx) -> Response:
    """Queue depth, trials, durations, workers and event lag, in Prometheus' text format."""
    context.figures.count_streams(context.hub.streams)
    return Response(context.figures.text(), media_type=CONTENT_TYPE)
