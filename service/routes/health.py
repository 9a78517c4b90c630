"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from fastapi import APIRouter

from service.context import Ctx, problems

router = APIRouter(tags=["health"])


@router.get("/healthz", operation_id="health")
def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=problems(), operation_id="ready")
def ready(context: Ctx) -> dict[str, str]:
    """The database is reachable and at the newest schema."""
    context.database.check()
    return {"status": "ready"}
