"""What happens to a job, as server-sent events that can be taken up again, or as JSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.sse import format_sse_event

from service.context import Context, Ctx, problems
from service.schemas import EventOut, PageOut
from spaces import StorageError, UnknownName, canonical_json
from storage import MAX_SEQ

router = APIRouter(prefix="/jobs/{job_id}", tags=["events"])

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
        int | None, Query(ge=0, le=MAX_SEQ, description="Answers in JSON what came after this event.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Most events of a JSON answer.")] = 1000,
    last_event_id: Annotated[int | None, Header(ge=0, le=MAX_SEQ)] = None,
) -> Any:
    """Events by their sequence; a stream ends when the job has, or the server stops."""
    await asyncio.to_thread(context.store.job, job_id)
    if after is not None:
        found = await asyncio.to_thread(context.store.events, job_id, after=after, limit=limit)
        return JSONResponse({"items": [event.to_dict() for event in found], "next_cursor": None})
    stream = _stream(job_id, context, request, last_event_id or 0)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _stream(job_id: str, context: Context, request: Request, seen: int) -> AsyncIterator[bytes]:
    """The stream; where it cannot go on it ends, and the client learns why when it takes it up again."""
    yield b"retry: 1000\n\n"
    with suppress(UnknownName, StorageError):
        async for chunk in _events(job_id, context, request, seen):
            yield chunk


async def _events(job_id: str, context: Context, request: Request, seen: int) -> AsyncIterator[bytes]:
    async with context.hub.watching(job_id):
        while not context.is_stopping() and not await request.is_disconnected():
            stand = await context.hub.moved(job_id, seen, KEEP_ALIVE_S)
            if stand is None:
                yield b": alive\n\n"
                continue
            # whatever was committed before the job's end is among the events that are read after its state
            while found := await asyncio.to_thread(context.store.events, job_id, after=seen):
                now = datetime.now(UTC)
                for event in found:
                    seen = event.seq
                    yield format_sse_event(
                        data_str=canonical_json(event.data), event=event.kind, id=str(seen)
                    )
                    context.figures.observe_lag((now - event.at).total_seconds())
            if stand.is_final:
                yield format_sse_event(data_str="{}", event="end")
                return
