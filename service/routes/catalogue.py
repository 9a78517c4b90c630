"""What can be asked for: workloads and targets."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from service.context import Ctx, problems
from service.schemas import PageOut, WorkloadOut
from spaces import UnknownName

router = APIRouter(tags=["catalogue"])


@router.get(
    "/workloads", response_model=PageOut[WorkloadOut], responses=problems(), operation_id="list_workloads"
)
def workloads(context: Ctx) -> dict[str, Any]:
    """Registered workloads, with their layers once a worker has prepared them."""
    items = []
    for name in context.workloads:
        known = context.store.inventory(name)
        layers = known and known["students"][0][1]["layers"]
        items.append({"name": name, "layers": layers})
    return {"items": items, "next_cursor": None}


@router.get(
    "/targets", response_model=PageOut[dict[str, Any]], responses=problems(), operation_id="list_targets"
)
def targets(context: Ctx) -> dict[str, Any]:
    """Hardware targets."""
    return {"items": [target.to_dict() for target in context.targets.values()], "next_cursor": None}


@router.get(
    "/targets/{name}", response_model=dict[str, Any], responses=problems(404), operation_id="get_target"
)
def target(name: str, context: Ctx) -> dict[str, Any]:
    """A hardware target."""
    if name not in context.targets:
        raise UnknownName("target", name, tuple(context.targets))
    return context.targets[name].to_dict()
