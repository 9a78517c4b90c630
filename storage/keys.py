"""API keys and the sessions of browsers that have shown one. A secret is shown once and stored as a digest.

Keys have 256 random bits, so a plain SHA-256 keeps them: there is nothing to guess that a slow hash would
protect.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, exists, select

from spaces import InvalidValue, UnknownName, shown
from storage.columns import UtcNow
from storage.tables import KeyRow, SessionRow

if TYPE_CHECKING:
    from datetime import datetime

    from storage.database import Database

SESSION_S: Final = 12 * 3600
MAX_NAME_LENGTH: Final = 100

_TEXT: Final = re.compile(r"tk_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Scope(StrEnum):
    """What a key may do; each scope includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"

    def includes(self, other: Scope) -> bool:
        """Whoever has this scope may do what the other allows."""
        order = list(Scope)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without its secret.

    Attributes:
        id: names the key in lists, logs and jobs.
        name: whose it is, for people.
        scope: what it may do.
        max_queued: jobs that may wait at once, or ``None`` for any number.
        max_running: jobs that may run at once, or ``None`` for any number.
        created_at: UTC.
        revoked_at: UTC, or ``None`` while it is valid.
    """

    id: str
    name: str
    scope: Scope
    max_queued: int | None
    max_running: int | None
    created_at: datetime
    revoked_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        revoked = self.revoked_at
        return {
            "id": self.id,
            "name": self.name,
            "scope": str(self.scope),
            "max_queued": self.max_queued,
            "max_running": self.max_running,
            "created_at": self.created_at.isoformat().replace("+00:00", "Z"),
            "revoked_at": None if revoked is None else revoked.isoformat().replace("+00:00", "Z"),
        }


class KeyRing:
    """Keys and sessions.

    Every method raises `StorageError` where the database cannot serve.

    Args:
        database: with this version's schema.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self,
        name: str,
        scope: Scope,
        *,
        max_queued: int | None = None,
        max_running: int | None = None,
    ) -> tuple[ApiKey, str]:
        """Makes a key.

        Returns:
            The key, and its text, which is nowhere to be had again.

        Raises:
            InvalidValue: the name is empty or too long, or a quota is not positive.
        """
        if not 0 < len(name) <= MAX_NAME_LENGTH:
            raise InvalidValue.at("/name", f"must have 1 to {MAX_NAME_LENGTH} characters, not {len(name)}")
        for field, quota in (("max_queued", max_queued), ("max_running", max_running)):
            if quota is not None and quota < 1:
                raise InvalidValue.at(f"/{field}", f"must be 1 or more, not {shown(quota)}")
        number, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        row = KeyRow(
            id=number,
            name=name,
            digest=_digest(secret),
            scope=str(scope),
            max_queued=max_queued,
            max_running=max_running,
        )
        with self._database.writing() as session:
            session.add(row)
            session.flush()
            session.refresh(row)
            return _value(row), f"tk_{number}_{secret}"

    def authenticate(self, text: str) -> ApiKey | None:
        """The valid key of a text, or ``None``."""
        match = _TEXT.fullmatch(text)
        if match is None:
            return None
        with self._database.reading() as session:
            row = session.get(KeyRow, match[1])
            # compared all the same where there is no such key: the time taken tells nothing
            is_right = hmac.compare_digest(_digest(match[2]), row.digest if row is not None else "")
            return _value(row) if row is not None and is_right and row.revoked_at is None else None

    def all(self) -> list[ApiKey]:
        """Every key, revoked ones included, the oldest first."""
        with self._database.reading() as session:
            return [_value(row) for row in session.scalars(select(KeyRow).order_by(KeyRow.created_at))]

    def is_empty(self) -> bool:
        """There is no valid key."""
        with self._database.reading() as session:
            return not session.scalar(select(exists().where(KeyRow.revoked_at.is_(None))))

    def revoke(self, key_id: str) -> ApiKey:
        """Makes a key, and its sessions, invalid from now on; revoking twice changes nothing.

        Raises:
            UnknownName: there is no such key.
        """
        with self._database.writing() as session:
            row = session.get(KeyRow, key_id)
            if row is None:
                raise UnknownName("key", key_id)
            if row.revoked_at is None:
                row.revoked_at = session.scalar(select(UtcNow()))
            session.execute(delete(SessionRow).where(SessionRow.key_id == key_id))
            return _value(row)

    def open_session(self, key: ApiKey) -> str:
        """Begins a session of a key; sessions that have run out are forgotten.

        Returns:
            The secret for the browser's cookie.
        """
        secret = secrets.token_urlsafe(32)
        with self._database.writing() as session:
            session.execute(delete(SessionRow).where(SessionRow.expires_at <= UtcNow()))
            expires_at = session.scalar(select(UtcNow(SESSION_S)))
            session.add(SessionRow(digest=_digest(secret), key_id=key.id, expires_at=expires_at))
        return secret

    def session(self, secret: str) -> ApiKey | None:
        """The valid key of a session that has not run out, or ``None``."""
        query = (
            select(KeyRow)
            .join(SessionRow, SessionRow.key_id == KeyRow.id)
            .where(SessionRow.digest == _digest(secret), SessionRow.expires_at > UtcNow())
            .where(KeyRow.revoked_at.is_(None))
        )
        with self._database.reading() as session:
            row = session.scalars(query).one_or_none()
            return None if row is None else _value(row)

    def close_session(self, secret: str) -> None:
        """Ends a session; one that is over already stays so."""
        with self._database.writing() as session:
            session.execute(delete(SessionRow).where(SessionRow.digest == _digest(secret)))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _value(row: KeyRow) -> ApiKey:
    return ApiKey(
        row.id, row.name, Scope(row.scope), row.max_queued, row.max_running, row.created_at, row.revoked_at
    )
