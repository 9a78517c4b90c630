"""Why a call is refused though it is well formed; `service.problems` says with which status."""

from __future__ import annotations

from spaces import Conflict, TautenError


class Unauthenticated(TautenError):  # noqa: N818 - the name says what is wrong
    """A call that needs a key showed none that is valid."""


class Forbidden(TautenError):  # noqa: N818 - the name says what is wrong
    """The caller may not do this."""


class InFlight(Conflict):
    """Another request with the same idempotency key has not been answered yet.

    Attributes:
        key: the key.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"a request with idempotency key {key!r} is being answered; try again in a second")
