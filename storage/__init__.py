"""What must survive: jobs and their queue, trials, events and artifacts, in SQLite or PostgreSQL."""

from storage.artifacts import ArtifactStore
from storage.claim import Claim
from storage.database import Database
from storage.events import Event
from storage.jobs import IdempotencyMismatch
from storage.pages import Page
from storage.queue import WorkerLock
from storage.store import Store

__all__ = [
    "ArtifactStore",
    "Claim",
    "Database",
    "Event",
    "IdempotencyMismatch",
    "Page",
    "Store",
    "WorkerLock",
]
