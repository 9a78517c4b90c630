"""What happens to a job, as server-sent events that can be taken up again, or as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import format_sse_event

from service.context import Context, Ctx, problems
from service.schemas import EventOut, PageOut
from spaces import StorageError, UnknownName, canonical_json
from storage import Event

router = APIRouter(prefix="/jobs/{job_id}", tags=["events"])

POLL_S: Final = 0.4
KEEP_ALIVE_S: Final = 15.0


@router.get(
    "/events",
    response_model=PageOut[EventOut],
    responses={200: {"content": {"text/event-stream": {}}}, **problems(404, 422)},
    operation_id="list_events",
)
async def events(
    job_id: str,
    context: Ctx,
    request: Request,
    after: Annotated[
        int | None, Query(ge=0, description="Answers in JSON what came after this event.")
    ] = None,
    last_event_id: Annotated[int | None, Header(ge=0)] = None,
) -> Any:
    """Events by their sequence; a stream ends when the job has, or the server stops."""
    await asyncio.to_thread(context.store.job, job_id)
    if after is not None:
        found = await asyncio.to_thread(context.store.events, job_id, after=after)
        return JSONResponse({"items": [_document(event) for event in found], "next_cursor": None})
    stream = _stream(job_id, context, request, last_event_id or 0)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _stream(job_id: str, context: Context, request: Request, seen: int) -> AsyncIterator[bytes]:
    """The stream; where it cannot go on it ends, and the client learns why when it takes it up again."""
    yield b"retry: 1000\n\n"
    with suppress(UnknownName, StorageError):
        async for chunk in _events(job_id, context, request, seen):
            yield chunk


async def _events(job_id: str, context: Context, request: Request, seen: int) -> AsyncIterator[bytes]:
    quiet = 0.0
    while not context.is_stopping() and not await request.is_disconnected():
        # the state is read first: whatever is committed before the job's end is then among the events
        job = await asyncio.to_thread(context.store.job, job_id)
        found = await asyncio.to_thread(context.store.events, job_id, after=seen)
        for event in found:
            seen = event.seq
            yield format_sse_event(data_str=canonical_json(event.data), event=event.kind, id=str(seen))
        if not found and job.state.is_final:
            yield format_sse_event(data_str="{}", event="end")
            return
        quiet = 0.0 if found else quiet + POLL_S
        if quiet >= KEEP_ALIVE_S:
            quiet = 0.0
            yield b": alive\n\n"
        await asyncio.sleep(POLL_S)


def _document(event: Event) -> dict[str, Any]:
    moment = event.at.isoformat().replace("+00:00", "Z")
    return {"seq": event.seq, "kind": event.kind, "at": moment, "data": event.data}
