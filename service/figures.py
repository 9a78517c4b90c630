"""Figures for Prometheus: of the database when they are asked for, of requests and streams as they happen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import Scope

from search.job import JobState
from search.trial import TrialState
from storage import Census

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_LATENCIES: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LAGS: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Figures:
    """One process's figures.

    Args:
        census: counts the database's jobs, trials and workers.
    """

    def __init__(self, census: Callable[[], Census]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Counted(census))
        self._requests = Histogram(
            "tauten_http_request_seconds",
            "Time to answer a request; of a stream, until its end.",
            ("method", "route", "status"),
            buckets=_LATENCIES,
            registry=self._registry,
        )
        self._lag = Histogram(
            "tauten_event_lag_seconds",
            "From an event to its being sent to a stream.",
            buckets=_LAGS,
            registry=self._registry,
        )
        self._streams = Gauge("tauten_event_streams", "Open event streams.", registry=self._registry)
        self._freed = Counter(
            "tauten_artifact_freed_bytes", "Bytes of artifacts that were removed.", registry=self._registry
        )

    def observe_request(self, scope: Scope, status: int, seconds: float) -> None:
        """A request was answered; requests are told apart by route, never by the ids in their addresses."""
        route = getattr(scope.get("route"), "path", "other")
        self._requests.labels(scope["method"], route, str(status)).observe(seconds)

    def observe_lag(self, seconds: float) -> None:
        """An event was sent so long after it happened."""
        self._lag.observe(max(0.0, seconds))

    def count_streams(self, count: int) -> None:
        """So many streams are open."""
        self._streams.set(count)

    def add_freed(self, size_bytes: int) -> None:
        """Files of so many bytes were removed."""
        self._freed.inc(size_bytes)

    def text(self) -> bytes:
        """All figures in Prometheus' text format.

        Raises:
            StorageError: the database cannot serve.
        """
        return generate_latest(self._registry)


class _Counted:
    """What is counted in the database when Prometheus asks."""

    def __init__(self, census: Callable[[], Census]) -> None:
        self._census = census

    def describe(self) -> list[Metric]:
        """Nothing, so that registering does not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures."""
        census = self._census()
        jobs = GaugeMetricFamily("tauten_jobs", "Jobs by state.", labels=["state"])
        for state in JobState:
            jobs.add_metric([state], census.jobs.get(state, 0))
        yield jobs
        yield GaugeMetricFamily(
            "tauten_queue_oldest_seconds", "How long the oldest queued job waits.", census.oldest_queued_s
        )
        trials = CounterMetricFamily("tauten_trials", "Trials that have ended, by state.", labels=["state"])
        seconds = CounterMetricFamily("tauten_trial_seconds", "Their seconds, by state.", labels=["state"])
        for ending in (ending for ending in TrialState if ending.is_final):
            count, total_s = census.trials.get(ending, (0, 0.0))
            trials.add_metric([ending], count)
            seconds.add_metric([ending], total_s)
        yield trials
        yield seconds
        workers = GaugeMetricFamily("tauten_workers", "Workers by state.", labels=["state"])
        for name, count in census.workers.items():
            workers.add_metric([name], count)
        yield workers
        yield GaugeMetricFamily(
            "tauten_artifact_bytes", "Bytes of the artifacts that trials have.", census.artifact_bytes
        )
