"""Who calls: by API key, or by the session of a browser that has shown one; and whether they may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import APIKeyCookie, HTTPBearer

from service.context import Context, Ctx
from service.refusals import Forbidden, Unauthenticated
from storage import ApiKey, Scope

COOKIE: Final = "tauten_session"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

bearer = HTTPBearer(auto_error=False, description="An API key; see `tauten key create`.")
cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="A session; see POST /api/v1/session.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        scope: what they may do.
        key: their key, or ``None`` where none is needed.
    """

    scope: Scope
    key: ApiKey | None = None

    @property
    def owner(self) -> str | None:
        """Whose jobs they submit: the id of their key."""
        return None if self.key is None else self.key.id


def find_caller(request: Request, context: Context) -> Caller | None:
    """Who calls, or ``None`` where a key is needed and none that is valid was shown.

    Raises:
        Unauthenticated: a key was shown that is not valid.
        Forbidden: a browser's session was used for a change, and the browser did not say from which page.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme:
        key = context.keys.authenticate(text.strip()) if scheme.lower() == "bearer" else None
        if key is not None:
            return Caller(key.scope, key)
        if context.settings.needs_key:
            raise Unauthenticated("the API key is not valid; it may have been revoked")
    secret = request.cookies.get(COOKIE)
    key = context.keys.session(secret) if secret else None
    if key is not None:
        # the origin itself was compared before (`service.gate`); here it must be there at all
        if request.method not in SAFE_METHODS and "origin" not in request.headers:
            raise Forbidden("a change by a browser's session needs the Origin header; use an API key instead")
        return Caller(key.scope, key)
    return None if context.settings.needs_key else Caller(Scope.ADMIN)


def authorise(request: Request, context: Ctx) -> Caller:
    """The caller of a call, who may read, and change things where the call does.

    Raises:
        Unauthenticated: a key is needed.
        Forbidden: the caller's scope does not include the call.
    """
    caller = find_caller(request, context)
    if caller is None:
        raise Unauthenticated("an API key is needed: send 'Authorization: Bearer tk_…', or sign in")
    request.state.key = caller.owner  # for the log
    reads = request.method in SAFE_METHODS or request.url.path.endswith("/jobs/validate")
    require(caller, Scope.READ if reads else Scope.WRITE)
    return caller


def require(caller: Caller, scope: Scope) -> None:
    """Passes when a caller has a scope.

    Raises:
        Forbidden: they have not.
    """
    if not caller.scope.includes(scope):
        raise Forbidden(f"this needs a key of scope {scope}; yours has {caller.scope}")


By = Annotated[Caller, Depends(authorise)]
