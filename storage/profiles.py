"""Profiles in the database: what was measured once of a workload's layers on a target, by its key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.columns import UtcNow
from storage.database import insert_into
from storage.tables import ProfileRow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def read_profile(session: Session, key: str) -> dict[str, Any] | None:
    """A profile's document, or ``None``."""
    row = session.get(ProfileRow, key)
    return None if row is None else row.document


def write_profile(session: Session, key: str, document: dict[str, Any]) -> None:
    """Stores a profile; an earlier one of the same key is replaced."""
    insert = insert_into(session, ProfileRow).values(key=key, document=document)
    values = {"document": document, "created_at": UtcNow()}
    session.execute(insert.on_conflict_do_update(index_elements=["key"], set_=values))
