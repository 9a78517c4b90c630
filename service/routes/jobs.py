"""Jobs: submission, listing, and their life."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from search.job import Job, JobState, Keep
from service.checking import check_job, check_retarget
from service.conditions import IfMatch, IfNoneMatch, is_known, revisions, tag
from service.context import NOT_MODIFIED, Ctx, problems
from service.janitor import DELETED_S
from service.preview import preview
from service.schemas import JobIn, JobOut, JobPatch, PageOut, RetargetIn, ValidationOut
from service.security import By

router = APIRouter(prefix="/jobs", tags=["jobs"])

BESIDE = {"priority", "keep"}
"""Fields of a submission that are about the queue and the files, not about the search."""


@router.post(
    "",
    status_code=201,
    response_model=JobOut,
    responses=problems(409, 413, 422, 429),
    operation_id="submit_job",
)
def submit(
    body: JobIn,
    context: Ctx,
    caller: By,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> dict[str, Any]:
    """Submits a search.

    The same ``Idempotency-Key`` with the same body answers with the same job; with another body it answers
    422, and 409 while the first request is being answered.
    """
    with context.in_flight.hold(caller.owner, idempotency_key):
        checked = check_job(body.model_dump(exclude_none=True, exclude=BESIDE), context)
        job, _ = context.store.submit(
            checked.spec,
            idempotency_key=idempotency_key,
            owner=caller.owner,
            priority=body.priority,
            keep=Keep(body.keep),
        )
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return _tagged(job, response)


@router.post(
    "/{job_id}/retarget",
    status_code=201,
    response_model=JobOut,
    responses=problems(404, 409, 413, 422, 429),
    operation_id="retarget_job",
)
def retarget(
    job_id: str,
    body: RetargetIn,
    context: Ctx,
    caller: By,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> dict[str, Any]:
    """Scores trials of a job that has ended on another target; nothing is trained.

    The answer is a job of its own with the same trial numbers: a worker measures the artifacts as they are,
    and evaluates accuracy again where they run otherwise. The job that it came from may be deleted.
    """
    with context.in_flight.hold(caller.owner, idempotency_key):
        aim = check_retarget(body.model_dump(exclude_none=True, exclude=BESIDE), context)
        job, _ = context.store.retarget(
            job_id,
            aim,
            trials=body.trials if isinstance(body.trials, str) else tuple(body.trials),
            idempotency_key=idempotency_key,
            owner=caller.owner,
            priority=body.priority,
            keep=Keep(body.keep),
        )
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return _tagged(job, response)


@router.post(
    "/validate", response_model=ValidationOut, responses=problems(413, 422), operation_id="validate_job"
)
def validate(body: JobIn, context: Ctx) -> dict[str, Any]:
    """Checks a search as a submission would, and says how large it is; creates nothing."""
    checked = check_job(body.model_dump(exclude_none=True, exclude=BESIDE), context)
    return {
        "valid": True,
        "space_size": None if checked.space is None else str(checked.space.size),
        **asdict(preview(checked, context)),
        "spec": checked.spec.to_dict(),
    }


@router.get("", response_model=PageOut[JobOut], responses=problems(422), operation_id="list_jobs")
def list_jobs(
    context: Ctx,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: str | None = None,
    state: Annotated[list[JobState] | None, Query()] = None,
    workload: str | None = None,
    target: str | None = None,
) -> dict[str, Any]:
    """Jobs, newest first."""
    page = context.store.jobs(
        limit=limit, cursor=cursor, states=tuple(state or ()), workload=workload, target=target
    )
    return {"items": [job.to_dict() for job in page.items], "next_cursor": page.next_cursor}


@router.get(
    "/{job_id}", response_model=JobOut, responses=problems(404, 422) | NOT_MODIFIED, operation_id="get_job"
)
def get(job_id: str, context: Ctx, response: Response, if_none_match: IfNoneMatch = None) -> Any:
    """A job, with its revision as entity tag."""
    job = context.store.job(job_id)
    if is_known(if_none_match, tag(job)):
        return Response(status_code=304, headers={"ETag": tag(job)})
    return _tagged(job, response)


@router.patch(
    "/{job_id}",
    response_model=JobOut,
    responses=problems(404, 409, 412, 413, 422),
    operation_id="raise_budget",
)
def patch(
    job_id: str, body: JobPatch, context: Ctx, response: Response, if_match: IfMatch = None
) -> dict[str, Any]:
    """Raises the budget; a job that has succeeded goes on."""
    trials = body.budget.trials
    return _tagged(context.store.raise_budget(job_id, trials, revisions=revisions(if_match)), response)


@router.delete(
    "/{job_id}", status_code=204, responses=problems(404, 409, 412, 422), operation_id="delete_job"
)
def delete(job_id: str, context: Ctx, if_match: IfMatch = None) -> None:
    """Deletes a job that has ended, with its trials, events and the artifacts that no other job has."""
    unused = context.store.delete(job_id, revisions=revisions(if_match))
    freed = sum(context.artifacts.discard(ref.digest, unused_for_s=DELETED_S) for ref in unused)
    context.figures.add_freed(freed)


@router.post(
    "/{job_id}/cancel",
    response_model=JobOut,
    responses=problems(404, 409, 412, 422),
    operation_id="cancel_job",
)
def cancel(job_id: str, context: Ctx, response: Response, if_match: IfMatch = None) -> dict[str, Any]:
    """Ends a job; what finished stays."""
    return _tagged(context.store.cancel(job_id, revisions=revisions(if_match)), response)


@router.post(
    "/{job_id}/pause", response_model=JobOut, responses=problems(404, 409, 412, 422), operation_id="pause_job"
)
def pause(job_id: str, context: Ctx, response: Response, if_match: IfMatch = None) -> dict[str, Any]:
    """Rests a job; the trial that is running runs again later."""
    return _tagged(context.store.pause(job_id, revisions=revisions(if_match)), response)


@router.post(
    "/{job_id}/resume",
    response_model=JobOut,
    responses=problems(404, 409, 412, 422),
    operation_id="resume_job",
)
def resume(job_id: str, context: Ctx, response: Response, if_match: IfMatch = None) -> dict[str, Any]:
    """Puts a paused job back into the queue."""
    return _tagged(context.store.resume(job_id, revisions=revisions(if_match)), response)


def _tagged(job: Job, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = tag(job)
    return job.to_dict()
