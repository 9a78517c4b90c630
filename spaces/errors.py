"""The tree of errors, in one place; every layer raises these and no other package defines a root.

::

    TautenError
    ├── InvalidValue            a field of a document is wrong: carries JSON pointers     (HTTP 422)
    │   ├── InvalidPolicy
    │   ├── InvalidSpace        empty, contradictory, or beyond what the target runs
    │   ├── InvalidSpec         a search job that cannot be run as written
    │   ├── InvalidTarget
    │   └── InvalidRecipe
    ├── UnknownName             no workload, target, sampler, job … of that name     (HTTP 404 or 422)
    ├── Conflict                the resource is in a state that forbids the call     (HTTP 409)
    ├── WorkloadError           the user's model, data, loss or metric failed        (trial or job failed)
    ├── CompressionError        a policy cannot be applied to this model             (trial infeasible)
    ├── DeploymentError         the runtime refuses the artifact, or alters it       (trial infeasible)
    ├── MeasurementError        a measurement failed or exceeded its limit           (trial failed)
    ├── StorageError            the database or the artifact directory cannot serve
    │   ├── LeaseLost           another worker owns the job now; nothing more may be written
    │   └── MissingFile         a stored file is gone or damaged; to try again does not help
    └── RemoteError             the service answered with a problem, or not at all
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class TautenError(Exception):
    """Root of all errors that Tauten raises on purpose; its text is one line for a person."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong field: where it stands (JSON pointer, RFC 6901), and what to do about it."""

    pointer: str
    detail: str

    def __str__(self) -> str:
        return f"{self.pointer}: {self.detail}" if self.pointer else self.detail


class InvalidValue(TautenError):
    """A document has one or more wrong fields.

    Attributes:
        faults: every fault that was found, in the order of the document.
    """

    def __init__(self, faults: Fault | Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.faults,)

    @classmethod
    def at(cls, pointer: str, detail: str) -> Self:
        """The error for a single field."""
        return cls(Fault(pointer, detail))

    def below(self, pointer: str) -> tuple[Fault, ...]:
        """The faults as they stand in a document that holds the faulty one at a pointer."""
        return tuple(Fault(pointer + fault.pointer, fault.detail) for fault in self.faults)


class InvalidPolicy(InvalidValue):
    """A policy contradicts itself or its schema."""


class InvalidSpace(InvalidValue):
    """A search space is empty, contradictory, or asks for what the target cannot run."""


class InvalidSpec(InvalidValue):
    """A search job cannot be run as written."""


class InvalidTarget(InvalidValue):
    """A hardware target is declared wrongly."""


class InvalidRecipe(InvalidValue):
    """A recipe file is damaged or of an unknown schema."""


class UnknownName(TautenError):
    """Nothing is registered or stored under a name.

    Attributes:
        kind: what was looked for, such as ``"workload"``.
        name: the name that was given.
        choices: the names that exist; empty where listing them would not help.
    """

    def __init__(self, kind: str, name: str, choices: Sequence[str] = ()) -> None:
        self.kind, self.name, self.choices = kind, name, tuple(choices)
        known = f"; choose one of: {', '.join(sorted(choices))}" if choices else ""
        super().__init__(f"unknown {kind} {name!r}{known}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.kind, self.name, self.choices)


class Conflict(TautenError):
    """The resource is in a state that forbids what was asked."""


class WorkloadError(TautenError):
    """The user's model, data, loss or metric raised, or returned what cannot be used."""


class CompressionError(TautenError):
    """A policy cannot be applied to this model."""


class DeploymentError(TautenError):
    """The runtime refuses the artifact, or executes it otherwise than the policy says."""


class MeasurementError(TautenError):
    """A measurement failed, or took longer than its limit."""


class StorageError(TautenError):
    """The database or the artifact directory cannot serve."""


class LeaseLost(StorageError):
    """Another worker owns the job; the writer must stop and write nothing more."""


class MissingFile(StorageError):
    """A stored file is gone, or is not what was stored; waiting does not bring it back."""


class RemoteError(TautenError):
    """The service answered with a problem, or could not be reached.

    Attributes:
        status: the HTTP status, or ``None`` where there was no answer.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)
