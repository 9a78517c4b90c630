"""Running an artifact on ONNX Runtime as a user would: default optimizations, a given number of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from spaces import DeploymentError

if TYPE_CHECKING:
    from pathlib import Path

    from compression import Workload

BATCH_SIZE: Final = 64
Array = NDArray[Any]


def open_session(path: Path, threads: int = 1, optimized: Path | None = None) -> Any:
    """A session on the CPU.

    Args:
        path: the artifact.
        threads: of one operator; operators run one after another.
        optimized: where to write the graph that will really run, or ``None``.

    Raises:
        DeploymentError: the runtime refuses the artifact.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's errors share no class
        raise DeploymentError(f"ONNX Runtime refuses the artifact: {error}") from error


def predict(session: Any, workload: Workload, split: str) -> tuple[Array, Array]:
    """The outputs and targets of a whole split, in its order.

    Args:
        session: of an artifact of the workload.
        workload: gives the batches.
        split: of the data.

    Returns:
        Outputs ``n x …`` and targets ``n x …``.

    Raises:
        DeploymentError: the runtime fails on a batch.
    """
    names = [item.name for item in session.get_inputs()]
    outputs: list[Array] = []
    targets: list[Array] = []
    for inputs, expected in workload.batches(split, BATCH_SIZE):
        feed = {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
        try:
            outputs.append(session.run(None, feed)[0])
        except Exception as error:
            raise DeploymentError(f"ONNX Runtime fails on the {split} split: {error}") from error
        targets.append(expected.numpy())
    if not outputs:
        return np.empty((0,)), np.empty((0,))
    return np.concatenate(outputs), np.concatenate(targets)
