"""Calibration examples as one batch, for what looks at activations once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from compression.export import one_line
from spaces import WorkloadError

if TYPE_CHECKING:
    from torch import Tensor

    from compression.workload import Workload

EXAMPLES: Final = 256


def calibration_examples(workload: Workload, purpose: str) -> tuple[Tensor, ...]:
    """The inputs of the first `EXAMPLES` examples of the calibration split, or of as many as a batch holds.

    Args:
        workload: whose split it is.
        purpose: what needs them, for the message.

    Raises:
        WorkloadError: the split is empty, or reading it fails.
    """
    try:
        for inputs, _ in workload.batches("calibration", EXAMPLES, limit=EXAMPLES):
            return inputs
    except Exception as error:  # the user's code may raise anything
        raise WorkloadError(f"workload {workload.name!r}: batches raised {one_line(error)}") from error
    raise WorkloadError(
        f"workload {workload.name!r}: the calibration split is empty; {purpose} needs examples"
    )
