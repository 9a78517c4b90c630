"""Jobs: submission, listing, and their life."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from search.job import JobState
from service.checking import check_job
from service.context import Ctx, problems
from service.schemas import JobIn, JobOut, JobPatch, PageOut, ValidationOut

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post(
    "", status_code=201, response_model=JobOut, responses=problems(400, 413, 422), operation_id="submit_job"
)
def submit(
    body: JobIn,
    context: Ctx,
    response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> dict[str, Any]:
    """Submits a search; the same ``Idempotency-Key`` with the same body answers with the same job."""
    checked = check_job(body.model_dump(exclude_none=True), context)
    job, _ = context.store.submit(checked.spec, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return job.to_dict()


@router.post(
    "/validate", response_model=ValidationOut, responses=problems(400, 413, 422), operation_id="validate_job"
)
def validate(body: JobIn, context: Ctx) -> dict[str, Any]:
    """Checks a search as a submission would, and says how large it is; creates nothing."""
    checked = check_job(body.model_dump(exclude_none=True), context)
    trial_s = _mean_trial_s(context, checked.spec.workload)
    return {
        "valid": True,
        "space_size": None if checked.space is None else str(checked.space.size),
        "trial_s": trial_s,
        "expected_s": None if trial_s is None else trial_s * checked.spec.budget.trials,
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


@router.get("/{job_id}", response_model=JobOut, responses=problems(404), operation_id="get_job")
def get(job_id: str, context: Ctx) -> dict[str, Any]:
    """A job."""
    return context.store.job(job_id).to_dict()


@router.patch(
    "/{job_id}",
    response_model=JobOut,
    responses=problems(400, 404, 409, 413, 422),
    operation_id="raise_budget",
)
def patch(job_id: str, body: JobPatch, context: Ctx) -> dict[str, Any]:
    """Raises the budget; a job that has succeeded goes on."""
    return context.store.raise_budget(job_id, body.budget.trials).to_dict()


@router.delete("/{job_id}", status_code=204, responses=problems(404, 409), operation_id="delete_job")
def delete(job_id: str, context: Ctx) -> None:
    """Deletes a job that has ended, with its trials and events."""
    context.store.delete(job_id)


@router.post(
    "/{job_id}/cancel", response_model=JobOut, responses=problems(404, 409), operation_id="cancel_job"
)
def cancel(job_id: str, context: Ctx) -> dict[str, Any]:
    """Ends a job; what finished stays."""
    return context.store.cancel(job_id).to_dict()


@router.post("/{job_id}/pause", response_model=JobOut, responses=problems(404, 409), operation_id="pause_job")
def pause(job_id: str, context: Ctx) -> dict[str, Any]:
    """Rests a job; the trial that is running runs again later."""
    return context.store.pause(job_id).to_dict()


@router.post(
    "/{job_id}/resume", response_model=JobOut, responses=problems(404, 409), operation_id="resume_job"
)
def resume(job_id: str, context: Ctx) -> dict[str, Any]:
    """Puts a paused job back into the queue."""
    return context.store.resume(job_id).to_dict()


def _mean_trial_s(context: Ctx, workload: str) -> float | None:
    """Over the workload's most recent job that has done any."""
    for job in context.store.jobs(limit=20, workload=workload).items:
        if job.progress.done:
            return job.progress.elapsed_s / job.progress.done
    return None
