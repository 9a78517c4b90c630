"""NNCF's quantization with accuracy control: layers go back to float until the loss is within the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.headline.bars import LOST
from benchmarks.peers.peer import Ground, Made, Peer
from compression import input_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from compression import Workload

VALIDATED = 2000
"""Of the validation split, which it reads again for each layer that it considers."""


def _batches(workload: Workload, split: str, limit: int) -> list[Any]:
    names = input_names(len(workload.example_inputs()))
    return [
        (dict(zip(names, (value.numpy() for value in inputs), strict=True)), targets.numpy())
        for inputs, targets in workload.batches(split, 1, limit=limit)
    ]


def _make(ground: Ground) -> Iterator[Made]:
    import nncf
    import onnx
    import onnxruntime

    workload = ground.evaluator.workload

    def validate(model: Any, examples: Iterable[Any]) -> tuple[float, list[float]]:
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        pairs = [(session.run(None, feed)[0], targets) for feed, targets in examples]
        scores = [workload.metric(outputs, targets) for outputs, targets in pairs]
        return float(np.mean(scores)), scores

    quantized = nncf.quantize_with_accuracy_control(
        onnx.load(ground.evaluator.reference.artifact.path),
        nncf.Dataset(_batches(workload, "calibration", 300), lambda item: item[0]),
        nncf.Dataset(_batches(workload, "validation", VALIDATED)),
        validate,
        max_drop=LOST,
        drop_type=nncf.DropType.ABSOLUTE,
    )
    path = ground.directory / "nncf.onnx"
    onnx.save(quantized, path)
    yield Made("int8 with accuracy control", path)


ON_ONNX_RUNTIME = Peer("NNCF with accuracy control, in ONNX Runtime", "nncf", _make)
ON_OPENVINO = Peer("NNCF with accuracy control, in OpenVINO", "nncf", _make, "local-cpu-openvino")
