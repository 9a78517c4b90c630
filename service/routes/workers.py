"""The workers that there are."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.context import Ctx, problems
from service.schemas import PageOut, WorkerOut

router = APIRouter(tags=["workers"])


@router.get("/workers", response_model=PageOut[WorkerOut], responses=problems(), operation_id="list_workers")
def workers(context: Ctx) -> dict[str, Any]:
    """Workers that were heard of within a day, the newest first, with what each does."""
    return {"items": [worker.to_dict() for worker in context.workers.all()], "next_cursor": None}
