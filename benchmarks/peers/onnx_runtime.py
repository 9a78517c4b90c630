"""ONNX Runtime's own quantization of everything: static for convolutions, dynamic for encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.peers.peer import Ground, Made, Peer
from compression import input_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from compression import Workload

CALIBRATED = 512
"""Examples from which ranges are read."""


class Reader:
    """The calibration split, as the tool wants it.

    Args:
        workload: gives the batches.
    """

    def __init__(self, workload: Workload) -> None:
        names = input_names(len(workload.example_inputs()))
        self._feeds: Iterator[dict[str, Any]] = (
            {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
            for inputs, _ in workload.batches("calibration", 32, limit=CALIBRATED)
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next batch, or ``None`` at the end."""
        return next(self._feeds, None)


def quantize_all(source: Path, path: Path, workload: Workload) -> None:
    """Static int8 of every operator that the tool quantizes, weights by channel, in the form QDQ."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    CalibrationDataReader.register(Reader)
    prepared = path.with_suffix(".prepared.onnx")
    quant_pre_process(str(source), str(prepared))
    quantize_static(
        str(prepared),
        str(path),
        Reader(workload),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


def _static(ground: Ground) -> Iterator[Made]:
    path = ground.directory / "ort-static.onnx"
    quantize_all(ground.evaluator.reference.artifact.path, path, ground.evaluator.workload)
    yield Made("static int8 of everything", path)


def _dynamic(ground: Ground) -> Iterator[Made]:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    path = ground.directory / "ort-dynamic.onnx"
    quantize_dynamic(
        str(ground.evaluator.reference.artifact.path),
        str(path),
        per_channel=True,
        weight_type=QuantType.QInt8,
    )
    yield Made("dynamic int8 of everything", path)


STATIC = Peer("ONNX Runtime, static int8", "onnxruntime", _static)
DYNAMIC = Peer("ONNX Runtime, dynamic int8", "onnxruntime", _dynamic)
