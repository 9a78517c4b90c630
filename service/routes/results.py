"""What a job has found: trials, front, hypervolume, profile, comparisons, recipes and artifacts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse

from recipes import CONVERTERS, Format
from search.trial import TrialState
from service.comparison import compare
from service.conditions import IfNoneMatch, is_known, tag
from service.context import NOT_MODIFIED, Ctx, problems
from service.layer_latency import layer_latency
from service.recipe_export import (
    MEDIA_TYPES,
    convert_stored,
    pick_trial,
    recipe_of,
    why_without_artifact,
)
from service.schemas import ComparisonOut, FrontOut, HypervolumeOut, LayerLatencyOut, PageOut, TrialOut
from service.views import JobView, trials_csv
from spaces import Conflict, InvalidValue, Method, UnknownName, canonical_json, shown
from storage import Results

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

MIN_COMPARED: Final = 2
MAX_COMPARED: Final = 8
LINES_AT_ONCE: Final = 200
EXPORTS: Final = {"text/csv": "csv", "application/x-ndjson": "ndjson"}

_NUMBERS: Final = re.compile(r"\s*[0-9]{1,18}\s*(,\s*[0-9]{1,18}\s*)*", re.ASCII)


@router.get(
    "/trials",
    response_model=PageOut[TrialOut],
    responses={200: {"content": {name: {} for name in EXPORTS}}, **problems(404, 422)},
    operation_id="list_trials",
)
def trials(
    job_id: str,
    context: Ctx,
    request: Request,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: str | None = None,
    state: Annotated[list[TrialState] | None, Query()] = None,
) -> Any:
    """Trials by number.

    Where the request accepts ``text/csv``, or ``application/x-ndjson`` with a document a line, all of them
    are streamed, however many.
    """
    view = JobView.load(context.results, context.store, job_id)
    states = tuple(state or ())
    accepted = request.headers.get("accept", "")
    media_type = next((name for name in EXPORTS if name in accepted), None)
    if media_type is not None:
        headers = {
            "Content-Disposition": f'attachment; filename="{job_id}-trials.{EXPORTS[media_type]}"',
            "Cache-Control": "no-store",
        }
        lines = _lines(context.results, view, states, media_type)
        return StreamingResponse(lines, media_type=media_type, headers=headers)
    page = context.results.page(job_id, limit=limit, cursor=cursor, states=states)
    items = [view.placed(document) for document in page.items]
    return JSONResponse({"items": items, "next_cursor": page.next_cursor})


@router.get(
    "/trials/{number}", response_model=TrialOut, responses=problems(404, 422), operation_id="get_trial"
)
def trial(job_id: str, number: int, context: Ctx) -> Any:
    """A trial."""
    view = JobView.load(context.results, context.store, job_id)
    return JSONResponse(view.placed(context.results.trials(job_id, [number])[number]))


@router.get(
    "/trials/{number}/layer-latency",
    response_model=LayerLatencyOut,
    responses=problems(404, 409, 422),
    operation_id="get_layer_latency",
)
def timed_layers(job_id: str, number: int, context: Ctx) -> Any:
    """Each layer's share of the latency: profiled on this host, or modelled; found on the first request."""
    return JSONResponse(layer_latency(context, context.store.job(job_id), number))


@router.get(
    "/trials/{number}/artifact",
    response_class=FileResponse,
    responses=problems(404, 409, 422),
    operation_id="get_artifact",
)
def artifact(job_id: str, number: int, context: Ctx) -> FileResponse:
    """The deployable file of a trial, compared with its digest just now."""
    found = context.store.trial(job_id, number)
    if found.artifact is None:
        job = context.store.job(job_id)
        raise Conflict(f"trial {number} has no artifact: {why_without_artifact(job, found)}")
    context.artifacts.verify(found.artifact.digest)
    path = context.artifacts.path(found.artifact.digest)
    headers = {"ETag": f'"{found.artifact.digest}"', "Digest": found.artifact.digest.replace(":", "=", 1)}
    return FileResponse(path, filename=f"{job_id}-{number}.onnx", headers=headers)


@router.get(
    "/front",
    response_model=FrontOut,
    responses=problems(404, 422) | NOT_MODIFIED,
    operation_id="get_front",
)
def front(
    job_id: str,
    context: Ctx,
    objectives: Annotated[str | None, Query(description="Metrics with commas between.")] = None,
    method: Method | None = None,
    max_accuracy_drop: Annotated[float | None, Query(ge=0)] = None,
    minimize: str | None = None,
    if_none_match: IfNoneMatch = None,
) -> Any:
    """The non-dominated trials, with knee and choice."""
    names = tuple(name.strip() for name in objectives.split(",")) if objectives else ()
    view = JobView.load(
        context.results,
        context.store,
        job_id,
        objectives=names,
        method=method,
        max_accuracy_drop=max_accuracy_drop,
        minimize=minimize,
    )
    current = tag(view.job)
    if is_known(if_none_match, current):
        return Response(status_code=304, headers={"ETag": current})
    key = ("front", view.job.id, current, names, method, max_accuracy_drop, minimize)
    answer = context.answers.get(key, lambda: bytes(JSONResponse(view.front_document()).body))
    return Response(answer, media_type="application/json", headers={"ETag": current})


@router.get(
    "/hypervolume",
    response_model=PageOut[HypervolumeOut],
    responses=problems(404),
    operation_id="get_hypervolume",
)
def hypervolume(job_id: str, context: Ctx) -> Any:
    """The front's hypervolume after each trial that counts; of a long job, after those that raised it."""
    return JSONResponse({"items": context.results.steps(job_id), "next_cursor": None})


@router.get("/profile", response_model=dict[str, Any], responses=problems(404), operation_id="get_profile")
def profile(job_id: str, context: Ctx) -> Any:
    """The sensitivities and costs of layers that the job's sampler uses; 404 where it uses none."""
    document = context.results.profile(job_id)
    if document is None:
        raise UnknownName("profile of job", job_id)
    return JSONResponse(document)


@router.get(
    "/compare", response_model=ComparisonOut, responses=problems(404, 422), operation_id="compare_trials"
)
def comparison(
    job_id: str,
    context: Ctx,
    trials: Annotated[str, Query(description="Two to eight trial numbers with commas between.")],
) -> Any:
    """Trials side by side: metrics, and of policies and kernels only what differs."""
    numbers = _numbers(trials)
    context.store.job(job_id)
    documents = context.results.trials(job_id, numbers)
    return JSONResponse(compare([documents[number] for number in numbers]))


@router.get(
    "/recipe",
    response_class=PlainTextResponse,
    responses={
        200: {
            "content": {
                "application/yaml": {},
                "application/json": {},
                "text/x-python": {},
                "text/markdown": {},
            }
        },
        **problems(404, 409, 422),
    },
    operation_id="get_recipe",
)
def recipe(
    job_id: str,
    context: Ctx,
    trial: int | None = None,
    max_accuracy_drop: Annotated[float | None, Query(ge=0)] = None,
    minimize: str | None = None,
    format: Format = "tauten",  # noqa: A002
    losses: Annotated[
        bool, Query(description="What the format cannot say, as JSON, in place of its text.")
    ] = False,
) -> Response:
    """The recipe of a trial, or of the front's choice within a drop of accuracy, in any format.

    The header `Tauten-Losses` counts what of the policy the format cannot say; `losses=true` lists it.
    """
    view = JobView.load(
        context.results, context.store, job_id, max_accuracy_drop=max_accuracy_drop, minimize=minimize
    )
    chosen = pick_trial(view, trial)
    conversion = convert_stored(recipe_of(view, chosen), format, context.store)
    count = {"Tauten-Losses": str(len(conversion.losses))}
    if losses:
        return JSONResponse(conversion.report(), headers=count)
    suffix = CONVERTERS[format].suffix
    name = f'inline; filename="recipe-{job_id}-{chosen.number}{suffix}"'
    return Response(
        conversion.text, media_type=MEDIA_TYPES[suffix], headers={"Content-Disposition": name, **count}
    )


def _lines(results: Results, view: JobView, states: tuple[TrialState, ...], media_type: str) -> Iterator[str]:
    read = results.numbers if media_type == "text/csv" else results.every
    documents = (view.placed(document) for document in read(view.job.id, states))
    if media_type == "text/csv":
        lines = trials_csv(documents)
    else:
        lines = (f"{canonical_json(document)}\n" for document in documents)
    while block := "".join(islice(lines, LINES_AT_ONCE)):
        yield block


def _numbers(text: str) -> list[int]:
    found = _NUMBERS.fullmatch(text)
    numbers = [] if found is None else list(dict.fromkeys(map(int, text.split(","))))
    if not MIN_COMPARED <= len(numbers) <= MAX_COMPARED:
        detail = f"must be {MIN_COMPARED} to {MAX_COMPARED} trial numbers such as 3,17, not {shown(text)}"
        raise InvalidValue.at("/trials", detail)
    return numbers
