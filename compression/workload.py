"""What compression needs of a user's model and data. Implementations live in `evaluators.workloads`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import numpy as np
    from torch import Tensor, nn

Split = Literal["train", "calibration", "validation", "test"]

Batch = tuple[tuple["Tensor", ...], "Tensor"]
"""(inputs, targets), each with the batch first."""


@runtime_checkable
class Workload(Protocol):
    """A trained model with its data, loss and metric.

    Attributes:
        name: of letters, digits, ``-``, ``_`` and ``.``; it names files and rows.
        task: such as ``image-classification``.
    """

    name: str
    task: str

    def model(self) -> nn.Module:
        """The trained reference in eval mode; may be slow, and is called once a process."""
        ...

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Inputs for one call, batch first, with a batch of 1; they fix the artifact's inputs in order."""
        ...

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Batches of a split; ``train`` alone is shuffled, by `seed`; `limit` bounds the examples."""
        ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar to be minimised."""
        ...

    def metric(self, outputs: np.ndarray[Any, Any], targets: np.ndarray[Any, Any]) -> float:
        """The quality of the outputs for all targets of a split, higher is better."""
        ...


@runtime_checkable
class HasStudents(Protocol):
    """A workload that brings students of another architecture."""

    def students(self) -> Mapping[str, Callable[[float, float], nn.Module]]:
        """Factories ``(depth, width) -> model`` by family name."""
        ...


def main_output(outputs: Any) -> Tensor:
    """The tensor that loss and metric are computed on: the output, or the first of a tuple or list."""
    output: Tensor = outputs[0] if isinstance(outputs, tuple | list) else outputs
    return output
