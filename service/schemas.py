"""The shapes of requests and answers; what they mean is checked by the domain's own types."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from search.spec import DEFAULT_OBJECTIVES, DEFAULT_SAMPLER

T = TypeVar("T")


class Strict(BaseModel):
    """A request body: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class BoundIn(Strict):
    """Limits of a metric, in its unit."""

    min: float | None = None
    max: float | None = None


class BudgetIn(Strict):
    """When a job ends."""

    trials: int = Field(default=40, description="Trials that are completed, infeasible or failed.")
    wall_s: float | None = Field(default=None, description="Seconds of running; the last trial is finished.")


class JobIn(Strict):
    """A search request."""

    workload: str = Field(description="A registered workload; see GET /workloads.")
    target: str = Field(default="local-cpu", description="A hardware target; see GET /targets.")
    objectives: list[str] = Field(default=list(DEFAULT_OBJECTIVES), description="Metrics to trade off.")
    constraints: dict[str, BoundIn] = Field(default_factory=dict, description="Limits by metric.")
    space: dict[str, Any] | None = Field(
        default=None, description="The choices offered; null is the default space."
    )
    sampler: str = Field(default=DEFAULT_SAMPLER, description="Who proposes.")
    budget: BudgetIn = BudgetIn()
    runner: str = "local"
    seed: int = Field(default=0, description="The same seed proposes the same.")


class BudgetPatch(Strict):
    """A new budget."""

    trials: int


class JobPatch(Strict):
    """What may change of a job."""

    budget: BudgetPatch


class Counts(BaseModel):
    """Trials done and budgeted."""

    done: int
    total: int


class ProgressOut(BaseModel):
    """How far a job has come."""

    trials: Counts
    hypervolume: float
    elapsed_s: float
    expected_s: float | None


class JobOut(BaseModel):
    """A job."""

    id: str
    state: Literal["queued", "running", "paused", "cancelling", "cancelled", "succeeded", "failed"]
    reason: str | None
    attempt: int
    progress: ProgressOut
    spec: dict[str, Any]
    created_at: str
    started_at: str | None
    ended_at: str | None


class MetricOut(BaseModel):
    """One number with its origin."""

    model_config = ConfigDict(extra="allow")
    value: float
    unit: str
    method: Literal["measured", "modelled", "simulated"]
    low: float | None = None
    high: float | None = None
    split: str | None = None
    speedup: float | None = None
    ratio: float | None = None
    contended: bool | None = None


class ArtifactOut(BaseModel):
    """A deployable file."""

    digest: str
    size_bytes: int


class TrialOut(BaseModel):
    """A trial."""

    trial: int
    state: Literal["waiting", "running", "completed", "gated", "infeasible", "failed", "lost"]
    reason: str | None
    origin: str
    fidelity: float
    policy_digest: str
    policy: dict[str, Any]
    metrics: dict[str, MetricOut]
    executed_as: dict[str, str]
    artifact: ArtifactOut | None
    violates: dict[str, float]
    seconds: float
    is_knee: bool
    on_front: bool
    accuracy_test: MetricOut | None = None


class ReferenceOut(BaseModel):
    """The uncompressed model in the target's runtime."""

    metrics: dict[str, MetricOut]
    accuracy_test: MetricOut | None = None


class FrontOut(BaseModel):
    """The non-dominated trials of a job."""

    job: str
    objectives: list[str]
    method: str
    reference: ReferenceOut
    hypervolume: float
    chosen: int | None
    constraint_binding: str | None
    constraints_met: bool
    trials: list[TrialOut]


class HypervolumeOut(BaseModel):
    """The hypervolume after a trial."""

    trial: int
    elapsed_s: float
    hypervolume: float


class ValidationOut(BaseModel):
    """What is known of a job before it is submitted."""

    valid: bool
    space_size: str | None = Field(
        description="Number of policies, in digits; null until the layers are known."
    )
    trial_s: float | None = Field(description="Mean seconds of a trial of this workload so far, or null.")
    expected_s: float | None
    spec: dict[str, Any]


class EventOut(BaseModel):
    """Something that happened to a job."""

    seq: int
    kind: str
    at: str
    data: dict[str, Any]


class WorkloadOut(BaseModel):
    """A registered workload; its layers are known once a worker has prepared it."""

    name: str
    layers: list[dict[str, Any]] | None


class PageOut(BaseModel, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = None


class ErrorOut(BaseModel):
    """A wrong field."""

    pointer: str
    detail: str


class ProblemOut(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[ErrorOut]
