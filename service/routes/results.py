"""What a job has found: trials, front, hypervolume, recipes and artifacts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response, StreamingResponse

from search.trial import TrialState
from service.context import Ctx, problems
from service.recipe_export import pick_trial, recipe_of
from service.schemas import FrontOut, HypervolumeOut, PageOut, TrialOut
from service.views import JobView, trials_csv
from spaces import Conflict, Method

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])


@router.get(
    "/trials",
    response_model=PageOut[TrialOut],
    response_model_exclude_none=False,
    responses={200: {"content": {"text/csv": {}}}, **problems(404, 422)},
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
    """Trials by number; all of them as CSV where the request accepts ``text/csv``."""
    view = JobView.load(context.store, job_id)
    if "text/csv" in request.headers.get("accept", ""):
        lines = trials_csv(view.trial(trial) for trial in view.trials)
        name = f'attachment; filename="{job_id}-trials.csv"'
        return StreamingResponse(lines, media_type="text/csv", headers={"Content-Disposition": name})
    page = context.store.trials(job_id, limit=limit, cursor=cursor, states=tuple(state or ()))
    return {"items": [view.trial(trial) for trial in page.items], "next_cursor": page.next_cursor}


@router.get(
    "/trials/{number}", response_model=TrialOut, responses=problems(404, 422), operation_id="get_trial"
)
def trial(job_id: str, number: int, context: Ctx) -> dict[str, Any]:
    """A trial."""
    found = context.store.trial(job_id, number)
    return JobView.load(context.store, job_id).trial(found)


@router.get(
    "/trials/{number}/artifact",
    response_class=FileResponse,
    responses=problems(404, 409, 422),
    operation_id="get_artifact",
)
def artifact(job_id: str, number: int, context: Ctx) -> FileResponse:
    """The deployable file of a trial, with its digest."""
    found = context.store.trial(job_id, number)
    if found.artifact is None:
        raise Conflict(
            f"trial {number} is {found.state} and has no artifact: {found.reason or 'it has not ended'}"
        )
    path = context.artifacts.path(found.artifact.digest)
    headers = {"ETag": f'"{found.artifact.digest}"', "Digest": found.artifact.digest.replace(":", "=", 1)}
    return FileResponse(path, filename=f"{job_id}-{number}.onnx", headers=headers)


@router.get("/front", response_model=FrontOut, responses=problems(404, 422), operation_id="get_front")
def front(
    job_id: str,
    context: Ctx,
    objectives: Annotated[str | None, Query(description="Metrics with commas between.")] = None,
    method: Method | None = None,
    max_accuracy_drop: Annotated[float | None, Query(ge=0)] = None,
    minimize: str | None = None,
) -> dict[str, Any]:
    """The non-dominated trials, with knee and choice."""
    names = tuple(name.strip() for name in objectives.split(",")) if objectives else ()
    view = JobView.load(
        context.store,
        job_id,
        objectives=names,
        method=method,
        max_accuracy_drop=max_accuracy_drop,
        minimize=minimize,
    )
    return view.front_document()


@router.get(
    "/hypervolume",
    response_model=PageOut[HypervolumeOut],
    responses=problems(404),
    operation_id="get_hypervolume",
)
def hypervolume(job_id: str, context: Ctx) -> dict[str, Any]:
    """The front's hypervolume after each trial."""
    return {"items": JobView.load(context.store, job_id).hypervolumes(), "next_cursor": None}


@router.get(
    "/recipe",
    response_class=PlainTextResponse,
    responses={200: {"content": {"application/yaml": {}}}, **problems(404, 409, 422)},
    operation_id="get_recipe",
)
def recipe(
    job_id: str,
    context: Ctx,
    trial: int | None = None,
    max_accuracy_drop: Annotated[float | None, Query(ge=0)] = None,
    minimize: str | None = None,
    format: Literal["tauten"] = "tauten",  # noqa: A002
) -> Response:
    """The recipe of a trial, or of the front's choice within a drop of accuracy."""
    view = JobView.load(context.store, job_id, max_accuracy_drop=max_accuracy_drop, minimize=minimize)
    chosen = pick_trial(view, trial)
    name = f'inline; filename="recipe-{job_id}-{chosen.number}.yaml"'
    text = recipe_of(view, chosen).to_yaml()
    return Response(text, media_type="application/yaml", headers={"Content-Disposition": name})
