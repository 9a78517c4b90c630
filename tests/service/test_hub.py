"""Streams wait together for one look at the database."""

import asyncio

import pytest

from service import hub
from service.hub import Hub
from spaces import StorageError, UnknownName
from storage import Standpoint


class Stands:
    """A database in which jobs move on at will."""

    def __init__(self):
        self.now, self.looks, self.failure, self.is_stopping = (
            {"a": Standpoint(1, is_final=False)},
            0,
            None,
            False,
        )

    def look(self, wanted):
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return {job_id: self.now[job_id] for job_id in wanted if job_id in self.now}


@pytest.fixture
def stands(monkeypatch):
    monkeypatch.setattr(hub, "POLL_S", 0.001)
    return Stands()


def run(stands, wait):
    async def watch():
        together = Hub(stands.look, lambda: stands.is_stopping)
        async with together.watching("a"):
            return await wait(together)

    return asyncio.run(asyncio.wait_for(watch(), 20))


def test_hundreds_whose_waits_run_out_all_the_time_miss_nothing(stands):
    async def wait(together):
        async def follow():
            seen = 0
            while seen < 60:
                stand = await together.moved("a", seen, 0.002)
                seen = seen if stand is None else stand.revision
            return seen

        async def move():
            for revision in range(2, 61):
                await asyncio.sleep(0.002)
                stands.now["a"] = Standpoint(revision, is_final=False)

        *seen, _ = await asyncio.gather(*(follow() for _ in range(200)), move())
        return seen

    assert run(stands, wait) == [60] * 200


def test_one_who_leaves_takes_nobody_along(stands):
    """A client that hangs up is cancelled again in each turn of the loop until it is gone, as anyio does."""

    async def wait(together):
        await together.moved("a", 0, 5)
        leaving = [asyncio.create_task(together.moved("a", 1, 5)) for _ in range(20)]
        staying = asyncio.create_task(together.moved("a", 1, 5))
        await asyncio.sleep(0.01)
        while not all(task.done() for task in leaving):
            for task in leaving:
                task.cancel()
            await asyncio.sleep(0)
        stands.now["a"] = Standpoint(2, is_final=False)
        left = await asyncio.gather(*leaving, return_exceptions=True)
        return await staying, {type(one) for one in left}

    assert run(stands, wait) == (Standpoint(2, is_final=False), {asyncio.CancelledError})


def test_nobody_is_woken_while_nothing_happens(stands):
    async def wait(together):
        assert await together.moved("a", 0, 5) == Standpoint(1, is_final=False)
        assert await together.moved("a", 1, 0.05) is None
        return stands.looks

    assert run(stands, wait) > 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda stands: stands.now.clear(), UnknownName),
        (lambda stands: setattr(stands, "failure", StorageError("locked")), StorageError),
    ],
)
def test_whoever_waits_is_told_that_the_job_is_gone_or_the_database_fails(stands, change, error):
    async def wait(together):
        await together.moved("a", 0, 5)
        waiting = asyncio.create_task(together.moved("a", 1, 5))
        await asyncio.sleep(0.01)
        change(stands)
        with pytest.raises(error):
            await waiting

    run(stands, wait)


def test_a_server_that_stops_wakes_everybody(stands):
    async def wait(together):
        await together.moved("a", 0, 5)
        waiting = asyncio.create_task(together.moved("a", 1, 15))
        await asyncio.sleep(0.01)
        stands.is_stopping = True
        return await waiting

    assert run(stands, wait) is None
