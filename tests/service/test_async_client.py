import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from search.job import JobState
from search.spec import JobSpec
from spaces import RemoteError
from storage import WorkerLock
from tauten import AsyncClient
from tests.processes import free_port
from tests.service.conftest import finished_search
from tests.service.samples import SPEC
from tests.service.test_streams import Listening


@pytest.fixture
def settings(database_url, tmp_path):
    from service.settings import Settings

    return Settings(tmp_path, database_url, port=free_port(), workers=0)


def run(coroutine):
    """In a thread of its own: a browser that other tests drive has its loop in the main one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def test_calls_and_pages_answer_as_those_of_its_twin(settings, store):
    searched = finished_search(store, settings.data_dir)

    async def use(url):
        async with AsyncClient(url) as client:
            jobs = [
                await client.submit(SPEC | {"seed": seed}, idempotency_key=str(seed)) for seed in (0, 1, 0)
            ]
            assert jobs[0]["id"] == jobs[2]["id"]
            assert [job["id"] async for job in client.jobs(limit=1)] == [
                *(job["id"] for job in (jobs[1], jobs[0])),
                searched,
            ]
            assert (await client.validate(SPEC))["valid"]
            states = [
                (await call(jobs[0]["id"]))["state"] for call in (client.pause, client.resume, client.cancel)
            ]
            assert states == ["paused", "queued", "cancelled"]
            assert [trial["trial"] async for trial in client.trials(searched)] == [0, 1, 2, 3, 4]
            assert (await client.front(searched))["chosen"] == 1
            assert (await client.compare(searched, [0, 1]))["trials"] == [0, 1]
            assert "tauten.recipe" in await client.recipe(searched, trial=4)
            with pytest.raises(RemoteError, match="unknown job") as caught:
                await client.job("nope")
            assert caught.value.status == 404

    with Listening(settings) as listening:
        run(use(listening.url))


def test_a_stream_goes_on_over_a_restart_of_the_server(settings, store):
    job, _ = store.submit(JobSpec.from_dict(SPEC))
    seen = []

    async def listen(url):
        async with AsyncClient(url) as client:
            async for event in client.events(job.id):
                seen.append(event)
                if len(seen) == 2:
                    await asyncio.to_thread(restart)

    def restart():
        servers[0].__exit__()
        claim.note("between", {"n": 1})
        claim.release(JobState.CANCELLED, "enough")
        servers.append(Listening(settings).__enter__())

    with WorkerLock(settings.data_dir) as lock:
        claim = store.claim(lock)
        servers = [Listening(settings).__enter__()]
        try:
            run(listen(servers[0].url))
        finally:
            servers[-1].__exit__()
    stored = store.events(job.id)
    assert [(event["seq"], event["kind"], event["data"]) for event in seen] == [
        (event.seq, event.kind, event.data) for event in stored
    ]


def test_without_a_service_the_remedy_is_named():
    async def use():
        async with AsyncClient("http://127.0.0.1:9") as client:
            await client.job("x")

    with pytest.raises(RemoteError, match="tauten serve"):
        run(use())
