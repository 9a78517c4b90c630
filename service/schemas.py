"""The shapes of requests and answers; what they mean is checked by the domain's own types."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from search.profile import DEFAULT_PROFILE, PROFILES
from search.samplers import SAMPLERS
from search.spec import DEFAULT_OBJECTIVES, DEFAULT_SAMPLER, FIDELITIES
from spaces import OBJECTIVES

T = TypeVar("T")
TrialNumber = Annotated[int, Field(ge=0, le=2**31 - 1, strict=True)]


class Strict(BaseModel):
    """A request body: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid")


class BoundIn(Strict):
    """Limits of a metric, in its unit."""

    min: float | None = None
    max: float | None = None


class BudgetIn(Strict):
    """When a job ends."""

    trials: int | None = Field(
        default=None,
        description="Trials that are completed, infeasible or failed; 40, or as many as the seconds allow.",
    )
    wall_s: float | None = Field(default=None, description="Seconds of running; the last trial is finished.")
    min_gain: float = Field(
        default=0.0,
        description="End early when all that is left is expected to gain less than this share; 0 never does.",
    )


class ResourcesIn(Strict):
    """What each evaluator reserves of a cluster."""

    cpu: int | None = Field(default=None, description="Cores, and threads of training; null is one core.")
    gpu: float = Field(default=0.0, description="Devices, or a share of one.")


class JobIn(Strict):
    """A search request."""

    workload: str = Field(description="A registered workload; see GET /workloads.")
    target: str = Field(default="local-cpu", description="A hardware target; see GET /targets.")
    objectives: list[str] = Field(
        default=list(DEFAULT_OBJECTIVES),
        description="Metrics to trade off.",
        json_schema_extra={"items": {"type": "string", "enum": list(OBJECTIVES)}},
    )
    constraints: dict[str, BoundIn] = Field(default_factory=dict, description="Limits by metric.")
    space: dict[str, Any] | None = Field(
        default=None, description="The choices offered; null is the default space."
    )
    sampler: str = Field(
        default=DEFAULT_SAMPLER,
        description="Who proposes; optuna:NAMESampler is any other of Optuna's, module:Class one that "
        "the service's settings allow.",
        examples=list(SAMPLERS),
    )
    budget: BudgetIn = BudgetIn()
    profile: str = Field(
        default=DEFAULT_PROFILE,
        description="Sensitivities measured first: small, full, fisher or none.",
        examples=list(PROFILES),
    )
    fidelity: str = Field(
        default="full",
        description="full, or ladder: short recoveries first, the full one for who looks good.",
        examples=list(FIDELITIES),
    )
    runner: str = Field(default="local", description="Where trials run: local, or ray for a cluster.")
    workers: int = Field(default=1, description="Trials that are evaluated at once.")
    resources: ResourcesIn | None = Field(default=None, description="What each reserves of a cluster.")
    seed: int = Field(default=0, description="The same seed proposes the same.")
    anchors: list[dict[str, Any]] = Field(
        default_factory=list, description="Policies to try before any other; each must be in the space."
    )
    priority: int = Field(default=0, description="A job of a higher one is taken first; -100 to 100.")
    keep: Literal["all", "front", "none"] = Field(
        default="all", description="Whose artifacts stay when the job has ended."
    )


class RetargetIn(Strict):
    """Which trials of a job that has ended are scored on which target."""

    target: str = Field(description="A hardware target; see GET /targets.")
    trials: Literal["all", "front"] | Annotated[list[TrialNumber], Field(min_length=1, max_length=1000)] = (
        Field(default="all", description="All that completed, those on the front, or some by number.")
    )
    objectives: list[str] | None = Field(
        default=None,
        description="Metrics to trade off; null for those of the job.",
        json_schema_extra={"items": {"type": "string", "enum": list(OBJECTIVES)}},
    )
    constraints: dict[str, BoundIn] | None = Field(
        default=None, description="Limits by metric; null for those of the job, without its target's."
    )
    priority: int = Field(default=0, description="A job of a higher one is taken first; -100 to 100.")
    keep: Literal["all", "front", "none"] = Field(
        default="all", description="Whose artifacts stay when the new job has ended."
    )


class SessionIn(Strict):
    """A key, shown once by a browser."""

    key: str = Field(max_length=200)


class KeyIn(Strict):
    """A key to be made."""

    name: str = Field(min_length=1, max_length=100, description="Whose it is, for people.")
    scope: Literal["read", "write", "admin"] = Field(
        default="write", description="Each scope includes those before it."
    )
    max_queued: int | None = Field(
        default=None, ge=1, le=2**31 - 1, strict=True, description="Jobs that may wait at once."
    )
    max_running: int | None = Field(
        default=None, ge=1, le=2**31 - 1, strict=True, description="Jobs that may run at once."
    )


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


class SourceOut(BaseModel):
    """The job whose trials another one scores; it may be deleted since."""

    job: str
    target: str


class OptimismOut(BaseModel):
    """How the chosen trial does on the test split; fractions of accuracy."""

    trial: int
    validation: float = Field(description="Its drop on the split that the search chose by.")
    again: float | None = Field(description="The mean there of trainings with fresh seeds, or null.")
    test: float = Field(description="Its drop on the test split.")
    test_low: float | None
    test_high: float | None
    gap: float = Field(description="Test less validation; above 0 where the search was too hopeful.")
    front_gap: float = Field(description="The same, on average over the front.")
    allowed: float | None = Field(description="The largest drop that the constraints allow.")
    holds: bool | None = Field(description="The drop on test is allowed; null without a limit.")


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
    priority: int
    keep: Literal["all", "front", "none"]
    last_error: str | None = Field(description="Why the last attempt ended without a trial.")
    revision: int = Field(description="Grows with every change; the entity tag is made of it.")
    source: SourceOut | None = Field(description="Whose trials are scored, where nothing is searched.")
    optimism: OptimismOut | None = Field(
        default=None, description="Of a search that has ended: what its choice is worth on other data."
    )


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
    p_value: float | None = None
    calibrated: bool | None = None
    again: float | None = None


class ArtifactOut(BaseModel):
    """A deployable file."""

    digest: str
    size_bytes: int


class BeforeOut(BaseModel):
    """What the trial scored on the target that it was searched for."""

    target: str
    metrics: dict[str, MetricOut]
    executed_as: dict[str, str]


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
    before: BeforeOut | None = Field(default=None, description="Of a trial that another job made.")
    accuracy_drop_test: MetricOut | None = None
    tied_with: list[int] | None = Field(
        default=None,
        description="Of the front: members over which its every advantage is within noise.",
    )


class LayerLatencyOut(BaseModel):
    """Where the time of a trial's call goes."""

    trial: int
    method: Literal["measured", "modelled"]
    shares: dict[str, float] | None = Field(
        description="Of the whole call, by layer, in the order of execution; null where nobody can tell here."
    )
    rest: float | None = Field(
        description="What goes to operators of no layer, such as pooling and additions."
    )
    reason: str | None = Field(description="Why there are no shares, or null.")


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
    optimism: OptimismOut | None = None
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
    profile_s: float | None = Field(
        description="Seconds of the profile that comes first; 0 where it is known already, null if unknown."
    )
    finalists_s: float | None = Field(
        description="Most that finalists may take, which are trained again in the end, or null."
    )
    expected_s: float | None = Field(description="Seconds of the whole job, or null.")
    based_on: str | None = Field(description="The earlier job that the times come from.")
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


class DifferenceOut(BaseModel):
    """A field of the policies that differs; null where a trial has it not."""

    pointer: str
    values: list[Any]


class KernelDifferenceOut(BaseModel):
    """A layer that runs differently; null where a trial has it not."""

    layer: str
    values: list[str | None]


class ComparedMetricOut(BaseModel):
    """A metric of all trials, and how far each lies above the first trial's."""

    metric: str
    values: list[MetricOut | None]
    differences: list[float | None]


class ComparisonOut(BaseModel):
    """Trials side by side; lists are in their order."""

    trials: list[int]
    states: list[str]
    policy: list[DifferenceOut]
    executed_as: list[KernelDifferenceOut]
    metrics: list[ComparedMetricOut]


class WorkerOut(BaseModel):
    """A worker process."""

    id: str
    name: str
    host: str
    state: Literal["idle", "busy", "silent", "stopped"]
    offers: list[str] = Field(description="Targets whose jobs it takes; empty for all.")
    job: str | None = Field(description="The job that it holds.")
    started_at: str
    seen_at: str


class SessionOut(BaseModel):
    """Who the caller is."""

    needs_key: bool = Field(description="Calls need an API key or a session.")
    scope: Literal["read", "write", "admin"] | None = Field(description="Null where the caller must sign in.")
    name: str | None


class KeyOut(BaseModel):
    """An API key, without its secret."""

    id: str
    name: str
    scope: Literal["read", "write", "admin"]
    max_queued: int | None
    max_running: int | None
    created_at: str
    revoked_at: str | None


class CreatedKeyOut(KeyOut):
    """A new key; `key` is its text, shown this once."""

    key: str


class ReadyOut(BaseModel):
    """The service can serve."""

    status: Literal["ready"]


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
    request_id: str | None = Field(description="Stands in the service's log, too.")
