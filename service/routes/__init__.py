"""The calls of the HTTP interface, a file a resource."""

from service.routes import catalogue, events, health, jobs, keys, results, sessions, workers

__all__ = ["catalogue", "events", "health", "jobs", "keys", "results", "sessions", "workers"]
