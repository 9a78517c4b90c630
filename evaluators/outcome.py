"""What an evaluation found, as a value that crosses processes as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from spaces import Metrics, metrics_from_dict, metrics_to_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

Status = Literal["completed", "gated", "infeasible", "failed"]


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """A deployable file, known by its content.

    Attributes:
        digest: ``sha256:…`` of the file.
        size_bytes: of the file.
    """

    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation found.

    Attributes:
        status: completed; gated (could not reach the front); infeasible (cannot be deployed as the policy
            says); failed (the workload or a measurement failed).
        reason: one line for a person where the status is not completed.
        metrics: by name; whatever was found before the evaluation ended.
        executed_as: what each weight layer really runs as, by module path.
        artifact: the deployable file, where there is one.
        seconds: wall time of the evaluation.
    """

    status: Status
    reason: str | None = None
    metrics: Metrics = field(default_factory=dict)
    executed_as: Mapping[str, str] = field(default_factory=dict)
    artifact: ArtifactRef | None = None
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        artifact = self.artifact
        return {
            "status": self.status,
            "reason": self.reason,
            "metrics": metrics_to_dict(self.metrics),
            "executed_as": dict(self.executed_as),
            "artifact": artifact and {"digest": artifact.digest, "size_bytes": artifact.size_bytes},
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Outcome:
        """Reads the JSON form, as `to_dict` wrote it."""
        artifact = document["artifact"]
        return cls(
            document["status"],
            document["reason"],
            metrics_from_dict(document["metrics"]),
            document["executed_as"],
            artifact and ArtifactRef(**artifact),
            document["seconds"],
        )
