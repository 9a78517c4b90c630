"""Errors as ``application/problem+json`` (RFC 9457), from one table; never a stack trace."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.refusals import Forbidden, InFlight, Unauthenticated
from spaces import Conflict, Fault, InvalidValue, StorageError, TautenError, UnknownName, escape
from storage import IdempotencyMismatch, QuotaExceeded, StaleWrite

MEDIA_TYPE: Final = "application/problem+json"

STATUSES: Final[tuple[tuple[type[TautenError], HTTPStatus], ...]] = (
    (InvalidValue, HTTPStatus.UNPROCESSABLE_ENTITY),
    (IdempotencyMismatch, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (StaleWrite, HTTPStatus.PRECONDITION_FAILED),
    (QuotaExceeded, HTTPStatus.TOO_MANY_REQUESTS),
    (UnknownName, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (StorageError, HTTPStatus.SERVICE_UNAVAILABLE),
)
"""The first class that fits decides."""

RETRY_S: Final = {QuotaExceeded: 30, InFlight: 1, StorageError: 5}
"""Seconds after which the same request may well succeed."""


def problem(
    status: int, detail: str, faults: Sequence[Fault] = (), headers: dict[str, str] | None = None
) -> JSONResponse:
    """A problem document.

    Args:
        status: HTTP status.
        detail: one line for a person.
        faults: the wrong fields.
        headers: to be sent besides.
    """
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults],
        "request_id": structlog.contextvars.get_contextvars().get("request"),
    }
    return JSONResponse(body, status, media_type=MEDIA_TYPE, headers=headers)


def status_of(error: TautenError) -> HTTPStatus:
    """The status of an error; one that no request should cause is a server's."""
    return next(
        (status for kind, status in STATUSES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR
    )


def install(app: FastAPI) -> None:
    """Makes every error of an application a problem, the framework's own included."""
    app.add_exception_handler(TautenError, _known)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http)


def _known(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TautenError)
    faults = error.faults if isinstance(error, InvalidValue) else ()
    headers = {}
    for kind, seconds in RETRY_S.items():
        if isinstance(error, kind):
            headers["Retry-After"] = str(seconds)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return problem(status_of(error), str(error), faults, headers)


def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    faults = [_fault(item) for item in error.errors()]
    malformed = any(item["type"] == "json_invalid" for item in error.errors())
    status = HTTPStatus.BAD_REQUEST if malformed else HTTPStatus.UNPROCESSABLE_ENTITY
    detail = "; ".join(str(fault) for fault in faults)
    return problem(status, detail, faults)


def _fault(item: Any) -> Fault:
    """A finding of pydantic; its location begins with where in the request the value stood."""
    if item["type"] == "json_invalid":
        return Fault("", f"is not JSON: {item['ctx']['error']} at byte {item['loc'][-1]}")
    place, *path = item["loc"]
    pointer = "".join(f"/{escape(str(part))}" for part in path)
    what = item["msg"][0].lower() + item["msg"][1:]
    return Fault(pointer, what if place == "body" else f"{what} ({place} parameter)")


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = f"nothing is at {request.url.path}; see /docs for what is"
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.method} is not possible at {request.url.path}"
    return problem(error.status_code, detail, headers=dict(error.headers or {}))
