"""What every request passes, and every answer gets: limits, known hosts, own origins, headers, an id."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import problem
from service.security import SAFE_METHODS
from service.settings import is_loopback

MAX_PATH_BYTES: Final = 16_384
MAX_HEADER_BYTES: Final = 32_768
QUIET: Final = ("/healthz", "/readyz", "/metrics")
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""The dashboard's. Its charts write ``style`` attributes into their tooltips, which run no script."""

DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; img-src 'self' data: "
    "https://fastapi.tiangolo.com; style-src 'unsafe-inline' https://cdn.jsdelivr.net; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Of ``/docs``, which loads its viewer from elsewhere; it is served only where no key guards anything."""

HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_log = structlog.get_logger()


class Gate:
    """Gives a request its id, refuses what no client of ours sends, and puts security headers on answers.

    Args:
        app: the application.
        allowed_hosts: names that a request's ``Host`` may have; ``None`` for any.
        observe: told method, status and seconds of each request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str] | None,
        observe: Callable[[Scope, int, float], None],
    ) -> None:
        self._app, self._hosts, self._observe = app, allowed_hosts, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on, or answers with a problem."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        started, status, has_begun = time.perf_counter(), 500, False
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request=request_id)

        async def finish(message: Message) -> None:
            nonlocal status, has_begun
            if message["type"] == "http.response.start":
                status, has_begun = int(message["status"]), True
                _add_headers(MutableHeaders(raw=message["headers"]), scope["path"], request_id)
            await send(message)

        try:
            refusal = self._refusal(scope, headers)
            await (refusal or self._app)(scope, receive, finish)
        except Exception as error:  # noqa: BLE001 - the last place that can make an answer of it
            _log.exception("request failed", path=scope["path"])
            if has_begun:
                raise error.with_traceback(None) from None  # the answer cannot be taken back: it is cut off
            failure = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the service failed; its log has the cause")
            await failure(scope, receive, finish)
        finally:
            seconds = time.perf_counter() - started
            self._observe(scope, status, seconds)
            _tell(scope, status, seconds)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_PATH_BYTES:
            return problem(
                HTTPStatus.REQUEST_URI_TOO_LONG, f"the address is longer than {MAX_PATH_BYTES} bytes"
            )
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            detail = f"the headers are larger than {MAX_HEADER_BYTES} bytes"
            return problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
        host = headers.get("host", "")
        if self._hosts is not None and host_name(host) not in self._hosts:
            detail = f"this service is not known as {host_name(host)!r}; name it in allowed_hosts"
            return problem(HTTPStatus.BAD_REQUEST, detail)
        if scope["method"] not in SAFE_METHODS and _is_foreign(headers, host):
            detail = f"pages of {headers.get('origin', 'another site')} may not change anything here"
            return problem(HTTPStatus.FORBIDDEN, detail)
        return None


def host_name(host: str) -> str:
    """The name in a ``Host`` header, without port and brackets, in small letters."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def known_hosts(host: str, allowed: Collection[str]) -> frozenset[str] | None:
    """The names that a service may be called by, or ``None`` for any.

    On loopback, a page whose name was made to point here must not be served: it would be of our origin.
    Elsewhere each call shows a key, and the names are the operator's to give.
    """
    if not is_loopback(host) and not allowed:
        return None
    own = {"localhost", "127.0.0.1", "::1", host_name(host)}
    return frozenset(own | {name.lower() for name in allowed})


def _is_foreign(headers: Headers, host: str) -> bool:
    """The request comes from a page of another origin."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}
    return urlsplit(origin).netloc.lower() != host.lower() if "://" in origin else True


def _add_headers(headers: MutableHeaders, path: str, request_id: str) -> None:
    headers["X-Request-ID"] = request_id
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", DOCS_POLICY if path == "/docs" else CONTENT_POLICY)
    if path.startswith("/api/"):
        headers.setdefault("Cache-Control", "private, no-cache")


def _tell(scope: Scope, status: int, seconds: float) -> None:
    is_routine = status < HTTPStatus.BAD_REQUEST and scope["method"] in SAFE_METHODS
    tell = _log.debug if is_routine or scope["path"] in QUIET else _log.info
    key = scope.get("state", {}).get("key")
    known = {"key": key} if key is not None else {}
    tell(
        "request",
        method=scope["method"],
        path=scope["path"],
        status=status,
        seconds=round(seconds, 4),
        **known,
    )
