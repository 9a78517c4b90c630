"""The client of the HTTP interface for programs that run an event loop; `service.client` is its twin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import httpx

from service.client import DEFAULT_URL, IN_FLIGHT_S, Document, detail_of, given, headers_for
from spaces import RemoteError

RECONNECT_S: Final = 1.0


class AsyncClient:
    """Calls a Tauten service.

    Args:
        url: of the service, with its path prefix if it has one.
        api_key: where the service needs one; else that of the variable ``TAUTEN_API_KEY``.
        timeout_s: of one call; for streams, of silence.

    Raises:
        RemoteError: from every call, when the service answers with a problem or not at all.
    """

    def __init__(
        self, url: str = DEFAULT_URL, *, api_key: str | None = None, timeout_s: float = 30.0
    ) -> None:
        self.url, self._timeout_s = url.rstrip("/"), timeout_s
        self._http = httpx.AsyncClient(base_url=self.url, timeout=timeout_s, headers=headers_for(api_key))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes connections."""
        await self._http.aclose()

    async def submit(self, spec: Mapping[str, Any], *, idempotency_key: str | None = None) -> Document:
        """Submits a job; the same key with the same spec answers with the same job."""
        return await self._create("/api/v1/jobs", spec, idempotency_key)

    async def retarget(
        self, job: str, target: str, *, idempotency_key: str | None = None, **choice: Any
    ) -> Document:
        """Submits a job that scores another's trials on a target, see `service.client.Client.retarget`."""
        body = {"target": target, **given(choice)}
        return await self._create(f"/api/v1/jobs/{job}/retarget", body, idempotency_key)

    async def _create(self, path: str, body: Mapping[str, Any], idempotency_key: str | None) -> Document:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        while True:
            try:
                return await self._json("POST", path, json=dict(body), headers=headers)
            except RemoteError as error:
                is_late = asyncio.get_running_loop().time() > deadline
                if not idempotency_key or error.status != HTTPStatus.CONFLICT or is_late:
                    raise
                await asyncio.sleep(IN_FLIGHT_S)

    async def validate(self, spec: Mapping[str, Any]) -> Document:
        """Checks a job without submitting it."""
        return await self._json("POST", "/api/v1/jobs/validate", json=dict(spec))

    async def job(self, job: str) -> Document:
        """A job."""
        return await self._json("GET", f"/api/v1/jobs/{job}")

    async def jobs(self, **filters: str | int) -> AsyncIterator[Document]:
        """Jobs, newest first, page by page."""
        async for item in self._pages("/api/v1/jobs", filters):
            yield item

    async def cancel(self, job: str) -> Document:
        """Ends a job; what finished stays."""
        return await self._json("POST", f"/api/v1/jobs/{job}/cancel")

    async def pause(self, job: str) -> Document:
        """Rests a job."""
        return await self._json("POST", f"/api/v1/jobs/{job}/pause")

    async def resume(self, job: str) -> Document:
        """Takes a paused job up again."""
        return await self._json("POST", f"/api/v1/jobs/{job}/resume")

    async def trials(self, job: str, **filters: str | int) -> AsyncIterator[Document]:
        """A job's trials by number, page by page."""
        async for item in self._pages(f"/api/v1/jobs/{job}/trials", filters):
            yield item

    async def front(self, job: str, **choice: str | float | None) -> Document:
        """A job's front."""
        return await self._json("GET", f"/api/v1/jobs/{job}/front", params=given(choice))

    async def compare(self, job: str, trials: Sequence[int]) -> Document:
        """What distinguishes two to eight trials."""
        numbers = ",".join(map(str, trials))
        return await self._json("GET", f"/api/v1/jobs/{job}/compare", params={"trials": numbers})

    async def recipe(self, job: str, **choice: str | float | None) -> str:
        """A recipe's text."""
        return (await self._send("GET", f"/api/v1/jobs/{job}/recipe", params=given(choice))).text

    async def events(self, job: str, after: int = 0) -> AsyncIterator[Document]:
        """What happens to a job, until it has ended; a stream that breaks is taken up behind the last event.

        Yields:
            ``{"seq", "kind", "data"}``.
        """
        seen = after
        await self.job(job)  # an unknown job is an error, not a stream to wait for
        while True:
            try:
                async with self._http.stream(
                    "GET", f"/api/v1/jobs/{job}/events", headers={"Last-Event-ID": str(seen)}
                ) as answer:
                    async for event in _events(answer.aiter_lines()):
                        if event["kind"] == "end":
                            return
                        seen = event["seq"]
                        yield event
            except httpx.TransportError:
                pass  # the server was restarted, say; what is not seen comes again
            await asyncio.sleep(RECONNECT_S)

    async def _pages(self, path: str, filters: Mapping[str, Any]) -> AsyncIterator[Document]:
        cursor: str | None = None
        while True:
            page = await self._json("GET", path, params=given({**filters, "cursor": cursor}))
            for item in page["items"]:
                yield item
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def _json(self, method: str, path: str, **request: Any) -> Document:
        document: Document = (await self._send(method, path, **request)).json()
        return document

    async def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise RemoteError(
                f"no service answers at {self.url} ({error}); start one with: tauten serve"
            ) from error
        if response.is_error:
            raise RemoteError(detail_of(response), response.status_code)
        return response


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[Document]:
    """Server-sent events, each at the empty line that ends it; comments are passed over."""
    fields: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "event" in fields:
                data = json.loads(fields.get("data", "{}"))
                yield {"seq": int(fields.get("id", 0)), "kind": fields["event"], "data": data}
            fields = {}
