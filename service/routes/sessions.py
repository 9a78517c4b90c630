"""Signing in with a browser: it shows an API key once, and has a cookie from then on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from service.context import Ctx, problems
from service.refusals import Unauthenticated
from service.schemas import SessionIn, SessionOut
from service.security import COOKIE, find_caller
from storage.keys import SESSION_S

router = APIRouter(tags=["access"])


@router.get(
    "/session", response_model=SessionOut, responses=problems(401, guarded=False), operation_id="get_session"
)
def session(request: Request, context: Ctx) -> dict[str, Any]:
    """Whether a key is needed, and what the caller may do."""
    caller = find_caller(request, context)
    return {
        "needs_key": context.settings.needs_key,
        "scope": None if caller is None else str(caller.scope),
        "name": None if caller is None or caller.key is None else caller.key.name,
    }


@router.post(
    "/session",
    status_code=204,
    responses=problems(401, 403, 413, 422, guarded=False),
    operation_id="open_session",
)
def open_session(body: SessionIn, request: Request, context: Ctx) -> Response:
    """Signs a browser in: shows a key once and gets a cookie that no script can read."""
    key = context.keys.authenticate(body.key)
    if key is None:
        raise Unauthenticated("the API key is not valid; it may have been revoked")
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        context.keys.open_session(key),
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )
    return response


@router.delete(
    "/session", status_code=204, responses=problems(403, guarded=False), operation_id="close_session"
)
def close_session(request: Request, context: Ctx) -> Response:
    """Signs a browser out."""
    secret = request.cookies.get(COOKIE)
    if secret:
        context.keys.close_session(secret)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response
