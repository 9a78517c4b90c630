"""Event streams of a server that listens on a socket: they tell what is committed while they are open."""

import signal
import threading
from contextlib import closing

import httpx
import psycopg
import pytest

from search.job import JobState
from search.spec import JobSpec
from service.server import make_server
from service.settings import Settings
from storage import ArtifactStore, WorkerLock
from tests.contracts.samples import progress
from tests.processes import free_port, wait_until
from tests.service.samples import SPEC, finished


class Listening:
    """The server in a thread of this process."""

    def __init__(self, settings):
        self.server = make_server(settings)
        self.url = f"http://127.0.0.1:{settings.port}"
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self):
        self.thread.start()
        wait_until(lambda: self.server.started or not self.thread.is_alive(), 20, "the server")
        return self

    def __exit__(self, *_):
        self.server.handle_exit(signal.SIGTERM, None)
        self.thread.join(20)
        assert not self.thread.is_alive()


class Stream:
    """An open stream that a thread reads."""

    def __init__(self, url, job, last=None):
        self.events, self.status, self.error = [], None, None
        self._headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(last)} if last else {})
        self._url = f"{url}/api/v1/jobs/{job}/events"
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            with httpx.stream("GET", self._url, headers=self._headers, timeout=30) as response:
                self.status = response.status_code
                event = {}
                for line in response.iter_lines():
                    if line:
                        name, _, value = line.partition(": ")
                        event[name] = value
                    else:
                        self.events, event = [*self.events, event], {}
        except httpx.HTTPError as error:
            self.error = error

    @property
    def ids(self):
        return [int(event["id"]) for event in self.events if "id" in event]

    def ends(self):
        self.thread.join(10)
        assert not self.thread.is_alive(), "the stream stays open"
        assert self.error is None
        return self


@pytest.fixture
def settings(database_url, tmp_path):
    return Settings(tmp_path, database_url, port=free_port(), workers=0)


@pytest.fixture
def listening(settings, store):
    with Listening(settings) as listening:
        yield listening


def test_a_stream_tells_what_happens_while_it_is_open_and_ends_with_its_job(listening, store, settings):
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    trials = list(finished(ArtifactStore(settings.artifacts_dir), settings.data_dir))
    stream = Stream(listening.url, job.id)
    with WorkerLock(settings.data_dir) as lock:
        claim = store.claim(lock)
        wait_until(lambda: len(stream.ids) == 2, 10, "the claim")
        for number, trial in enumerate(trials):
            claim.finish(trial, progress(number + 1, 5))
            wait_until(lambda number=number: len(stream.ids) == 3 + number, 10, f"trial {number}")
        claim.release(JobState.SUCCEEDED)
    stream.ends()

    stored = store.events(job.id)
    assert stream.status == 200
    assert stream.ids == [event.seq for event in stored]
    assert [event["event"] for event in stream.events if "id" in event] == [event.kind for event in stored]
    assert stream.events[-1]["event"] == "end"


def test_a_broken_stream_is_taken_up_behind_the_last_event_seen(listening, store, settings):
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    with WorkerLock(settings.data_dir) as lock:
        claim = store.claim(lock)
        claim.note("first", {})
        stream = Stream(listening.url, job.id, last=2)
        wait_until(lambda: stream.ids == [3], 10, "what came after event 2")
        claim.note("second", {})
        wait_until(lambda: stream.ids == [3, 4], 10, "what came since")
        claim.release(JobState.CANCELLED, "cancelled on request")
    assert stream.ends().ids == [3, 4, 5]


def test_the_stream_of_a_job_that_is_deleted_ends(listening, store, settings):
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    stream = Stream(listening.url, job.id)
    wait_until(lambda: stream.ids == [1], 10, "the first event")
    store.cancel(job.id)
    store.delete(job.id)

    stream.ends()


def test_a_server_that_stops_ends_its_streams(settings, store):
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    with Listening(settings) as listening:
        stream = Stream(listening.url, job.id)
        wait_until(lambda: stream.ids == [1], 10, "the first event")
        listening.server.handle_exit(15, None)
        stream.ends()
        listening.thread.join(10)
        assert not listening.thread.is_alive()


def test_a_service_whose_file_was_removed_lives_but_is_not_ready(tmp_path):
    settings = Settings(tmp_path, f"sqlite:///{tmp_path}/gone.db", port=free_port(), workers=0)
    with Listening(settings) as listening:
        assert httpx.get(f"{listening.url}/readyz").status_code == 200
        (tmp_path / "gone.db").unlink()
        response = httpx.get(f"{listening.url}/readyz")
        assert httpx.get(f"{listening.url}/healthz").status_code == 200
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert "does not exist" in response.json()["detail"]


@pytest.mark.postgres
def test_a_service_whose_server_dropped_the_database_is_not_ready(postgres_url, tmp_path):
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute("CREATE DATABASE gone")
        url = postgres_url.replace("/postgres?", "/gone?")
        assert url != postgres_url
        settings = Settings(tmp_path, url, port=free_port(), workers=0)
        with Listening(settings) as listening:
            assert httpx.get(f"{listening.url}/readyz").status_code == 200
            connection.execute("DROP DATABASE gone WITH (FORCE)")
            response = httpx.get(f"{listening.url}/readyz")
    assert response.status_code == 503
    assert "cannot serve" in response.json()["detail"]
