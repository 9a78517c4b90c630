"""API keys: who may call the service, for administrators."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends

from service.context import Ctx, problems
from service.schemas import CreatedKeyOut, KeyIn, KeyOut, PageOut
from service.security import By, require
from storage import Scope


def _administrator(caller: By) -> None:
    require(caller, Scope.ADMIN)


router = APIRouter(tags=["access"], dependencies=[Depends(_administrator)])


@router.get(
    "/keys",
    response_model=PageOut[KeyOut],
    responses=problems(),
    operation_id="list_keys",
)
def list_keys(context: Ctx) -> dict[str, Any]:
    """API keys, the oldest first; no secrets."""
    return {"items": [key.to_dict() for key in context.keys.all()], "next_cursor": None}


@router.post(
    "/keys",
    status_code=201,
    response_model=CreatedKeyOut,
    responses=problems(413, 422),
    operation_id="create_key",
)
def create_key(body: KeyIn, context: Ctx) -> dict[str, Any]:
    """Makes an API key; its text is in this answer and nowhere else."""
    key, text = context.keys.create(
        body.name, Scope(body.scope), max_queued=body.max_queued, max_running=body.max_running
    )
    return {**key.to_dict(), "key": text}


@router.delete(
    "/keys/{key_id}",
    response_model=KeyOut,
    responses=problems(404),
    operation_id="revoke_key",
)
def revoke_key(key_id: str, context: Ctx) -> dict[str, Any]:
    """Makes a key and its sessions invalid from now on; it stays in the list."""
    return context.keys.revoke(key_id).to_dict()
