"""Whether a job can be run as written: its names, and its space against target and layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from search.anchors import given_anchors
from search.job import Job
from search.samplers import is_foreign
from search.source import Source
from search.spec import Bound, JobSpec
from search.targeting import aimed, retargeted
from service.context import Context
from spaces import (
    Capabilities,
    Fault,
    InvalidSpec,
    LayerInventory,
    Reader,
    SearchSpace,
    Student,
    defaults_for,
)


@dataclass(frozen=True, slots=True)
class Checked:
    """A job that can be run.

    Attributes:
        spec: the job, with the target's limits among its constraints.
        space: its search space, or ``None`` while the workload's layers are unknown.
    """

    spec: JobSpec
    space: SearchSpace | None


def check_job(document: dict[str, Any], context: Context) -> Checked:
    """Reads and checks a job; creates nothing and loads no model.

    Raises:
        InvalidSpec: a field is wrong, or a name is unknown.
        InvalidSpace: the space is empty, contradicts itself, or asks for what the target cannot run.
    """
    spec = JobSpec.from_dict(document)
    faults = []
    if spec.workload not in context.workloads:
        faults.append(_unknown("workload", spec.workload, context.workloads))
    if spec.target not in context.targets:
        faults.append(_unknown("target", spec.target, context.targets))
    if faults:
        raise InvalidSpec(faults)
    if is_foreign(spec.sampler) and spec.sampler not in context.settings.samplers:
        allowed = ", ".join(context.settings.samplers) or "none"
        detail = f"{spec.sampler!r} is not allowed here; samplers of other packages that are: {allowed}"
        raise InvalidSpec.at("/sampler", detail)
    target = context.targets[spec.target]
    capabilities = target.capabilities
    spec = aimed(spec, target)
    known = context.store.inventory(spec.workload)
    inventories = None if known is None else _inventories(known, spec, capabilities)
    space = None if inventories is None else SearchSpace.build(spec.space, inventories, capabilities)
    if space is not None:
        given_anchors(space, spec.anchors)
    return Checked(spec, space)


def check_retarget(document: dict[str, Any], context: Context) -> Callable[[Job, int], JobSpec]:
    """Checks what a retargeting asks for, as far as it can be known without the job.

    Args:
        document: ``target``, ``trials``, and where they are given ``objectives`` and ``constraints``.
        context: of the service.

    Returns:
        What makes the new job's specification from the job that has ended and the number of its trials; it
        raises `InvalidSpec` where the target has no such metric.

    Raises:
        InvalidSpec: a field is wrong, or the target is unknown.
    """
    read = Reader(document, "", InvalidSpec)
    name, trials = read.text("target"), read.raw("trials")
    wanted = tuple(dict.fromkeys(trials)) if isinstance(trials, list) else trials
    objectives = read.texts("objectives") if "objectives" in document else None
    constraints = read.mapping("constraints", Bound.from_dict) if "constraints" in document else None
    read.done()
    if name not in context.targets:
        raise InvalidSpec(_unknown("target", name, context.targets))

    def aim(job: Job, count: int) -> JobSpec:
        former = context.targets.get(job.spec.target)
        return retargeted(
            job.spec,
            Source(job.id, job.spec.target, wanted, job.reference["provenance"]),
            context.targets[name],
            count=count,
            limits={} if former is None else former.limits,
            objectives=objectives,
            constraints=constraints,
        )

    return aim


def _inventories(
    known: dict[str, Any], spec: JobSpec, capabilities: Capabilities
) -> dict[Student | None, LayerInventory] | None:
    """The layers of all students asked for, or ``None`` if those of one are not known yet."""
    found = {
        student and Student.from_dict(student): LayerInventory.from_dict(inventory)
        for student, inventory in known["students"]
    }
    if not spec.space.students:
        defaults = defaults_for(capabilities, spec.space.hint).students
        return {student: inventory for student, inventory in found.items() if student in defaults} or None
    wanted = dict.fromkeys(spec.space.students)
    return {student: found[student] for student in wanted} if all(item in found for item in wanted) else None


def _unknown(kind: str, name: str, choices: Any) -> Fault:
    return Fault(f"/{kind}", f"unknown {kind} {name!r}; choose one of: {', '.join(sorted(choices))}")
