"""What must survive: jobs and their queue, trials, events and artifacts, in SQLite or PostgreSQL."""

from storage.artifacts import ArtifactStore
from storage.bucket import open_artifacts
from storage.census import Census, CensusTaker
from storage.claim import Claim
from storage.database import Database
from storage.events import MAX_SEQ, Event, Standpoint
from storage.jobs import IdempotencyMismatch, StaleWrite
from storage.keys import ApiKey, KeyRing, Scope
from storage.pages import Page
from storage.queue import WorkerLock
from storage.quotas import QuotaExceeded
from storage.results import Results
from storage.store import Store
from storage.workers import Worker, WorkerList

__all__ = [
    "MAX_SEQ",
    "ApiKey",
    "ArtifactStore",
    "Census",
    "CensusTaker",
    "Claim",
    "Database",
    "Event",
    "IdempotencyMismatch",
    "KeyRing",
    "Page",
    "QuotaExceeded",
    "Results",
    "Scope",
    "StaleWrite",
    "Standpoint",
    "Store",
    "Worker",
    "WorkerList",
    "WorkerLock",
    "open_artifacts",
]
