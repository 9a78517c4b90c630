"""Running an artifact: a session of ONNX Runtime as a user has it, and a split's outputs by any session."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime

from evaluators.backends import Array, Input, check_feed, first_line
from spaces import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from compression import Workload
    from evaluators.backends import Session

BATCH_SIZE: Final = 64

__all__ = ["BATCH_SIZE", "Array", "OnnxSession", "open_session", "predict"]


class OnnxSession:
    """An artifact in ONNX Runtime; see `evaluators.backends.Session`."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.inputs = tuple(Input.read(item.name, item.shape) for item in session.get_inputs())

    def prepare(self, feed: Mapping[str, Array]) -> Callable[[], Any]:
        """One call."""
        if self._session is None:
            raise DeploymentError("the session is closed")
        check_feed(self.inputs, feed)
        return partial(self._session.run, None, dict(feed))

    def run(self, feed: Mapping[str, Array]) -> Array:
        """The main output."""
        call = self.prepare(feed)
        try:
            output: Array = call()[0]
        except Exception as error:  # the runtime's errors share no class
            raise DeploymentError(f"ONNX Runtime fails: {first_line(error)}") from error
        return output

    def close(self) -> None:
        """The runtime ends its threads with the session."""
        self._session = None


def open_session(path: Path, threads: int = 1, optimized: Path | None = None) -> OnnxSession:
    """A session on the CPU with default optimizations.

    Args:
        path: the artifact.
        threads: of one operator; operators run one after another.
        optimized: where to write the graph that will really run, or ``None``.

    Raises:
        DeploymentError: the runtime refuses the artifact, or an axis beside the batch is dynamic.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no class
        raise DeploymentError(f"ONNX Runtime refuses the artifact: {error}") from error
    return OnnxSession(session)


def predict(
    session: Session, workload: Workload, split: str, batch_size: int = BATCH_SIZE
) -> tuple[Array, Array]:
    """The outputs and targets of a whole split, in its order.

    Args:
        session: of an artifact of the workload.
        workload: gives the batches.
        split: of the data.
        batch_size: outputs of layers whose ranges are found at run time depend on it; no others do.

    Returns:
        Outputs ``n x …`` and targets ``n x …``; empty where the split is.

    Raises:
        DeploymentError: the runtime fails on a batch, or a batch does not fit; names the split.
    """
    names = [item.name for item in session.inputs]
    outputs: list[Array] = []
    targets: list[Array] = []
    for inputs, expected in workload.batches(split, batch_size):
        feed = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        try:
            outputs.append(session.run(feed))
        except DeploymentError as error:
            raise DeploymentError(f"on the {split} split: {error}") from error
        targets.append(expected.numpy())
    if not outputs:
        return np.empty((0,)), np.empty((0,))
    return np.concatenate(outputs), np.concatenate(targets)
