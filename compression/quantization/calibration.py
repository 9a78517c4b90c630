"""Ranges of activations, from the calibration split: each tensor by its own method. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from compression.export import input_names, one_line
from compression.quantization.numerics import activation_parameters, quantize_values
from spaces import Calibration, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from compression.quantization.numerics import Array
    from compression.workload import Workload

CALIBRATION_EXAMPLES: Final = 128
CALIBRATION_BATCH: Final = 64
PERCENTILE: Final = 0.9999
_BINS: Final = 2048
_CANDIDATES: Final = 100
_STEPS: Final = 512
_SMOOTHING: Final = 1e-10


@dataclass(frozen=True, slots=True)
class Wanted:
    """A range that is asked for.

    Attributes:
        tensor: value of the graph.
        method: how its range is found.
        bits: of the activations; the methods that weigh rounding against clipping depend on them.
    """

    tensor: str
    method: Calibration = "minmax"
    bits: int = 8


Range = tuple[float, float]


def calibrate(model: Any, workload: Workload, wanted: Collection[Wanted]) -> dict[Wanted, Range]:
    """The range of each tensor: its least and greatest value, drawn in to a magnitude that the method finds.

    Args:
        model: float ONNX model; not changed.
        workload: its calibration split is read, `CALIBRATION_EXAMPLES` of it; twice where a histogram is
            needed.
        wanted: tensors, methods and bits.

    Returns:
        ``(low, high)`` with ``low <= 0 <= high``; constant zero gives ``(0, 0)``.

    Raises:
        WorkloadError: the split is empty, or reading it fails.
    """
    if not wanted:
        return {}
    tensors = sorted({item.tensor for item in wanted})
    session, names = _session(model, tensors)
    ends = dict.fromkeys(tensors, (0.0, 0.0))
    for values in _values(session, names, workload):
        for tensor, (low, high) in ends.items():
            value = values[tensor]
            ends[tensor] = min(low, float(value.min())), max(high, float(value.max()))
    searched = {item.tensor for item in wanted if item.method != "minmax"}
    counts = {tensor: np.zeros(2 * _BINS, np.int64) for tensor in sorted(searched)}
    if counts:
        for values in _values(session, names, workload):
            for tensor in counts:
                most = max(-ends[tensor][0], ends[tensor][1]) or 1.0
                counts[tensor] += np.histogram(values[tensor], bins=2 * _BINS, range=(-most, most))[0]
    found = {}
    for item in wanted:
        low, high = ends[item.tensor]
        if item.method != "minmax" and high > low:
            limit = clipping(counts[item.tensor], (low, high), item.method, item.bits)
            low, high = max(low, -limit), min(high, limit)
        found[item] = low, high
    return found


def clipping(counts: Array, ends: Range, method: Calibration, bits: int) -> float:
    """The magnitude beyond which values are clipped.

    Args:
        counts: histogram of the values, an even number of equal bins over ``±max(abs(ends))``.
        ends: least and greatest value, not both zero.
        method: ``percentile`` covers `PERCENTILE` of the magnitudes; ``entropy`` loses the least information
            (Migacz 2017, "8-bit inference with TensorRT"); ``mse`` has the least squared error of rounding
            and clipping together, over `_CANDIDATES` magnitudes (Nagel et al. 2021, "A white paper on neural
            network quantization", 3.1); ``minmax`` clips nothing.
        bits: of the activations.

    Returns:
        At most ``max(abs(ends))``; on ties the greatest magnitude for ``mse``, the least for ``entropy``.
    """
    most = max(-ends[0], ends[1])
    half = len(counts) // 2
    if method == "minmax":
        return most
    if method == "mse":
        return _least_error(counts, ends, bits)
    magnitudes = counts[half:] + counts[:half][::-1]
    if method == "percentile":
        covered = np.cumsum(magnitudes) >= PERCENTILE * magnitudes.sum()
        return most * (int(np.argmax(covered)) + 1) / half
    # Zero is an exact code: however many there are (half of what ReLU gives), they say nothing of the range.
    magnitudes[0] = magnitudes[1]
    levels = 2**bits if ends[0] >= 0 else 2 ** (bits - 1)
    return most * _least_entropy(magnitudes, levels) / half


def _least_error(counts: Array, ends: Range, bits: int) -> float:
    most, half = max(-ends[0], ends[1]), len(counts) // 2
    centres = ((np.arange(2 * half) + 0.5) / half - 1) * most
    limits = most * np.arange(_CANDIDATES, 0, -1) / _CANDIDATES
    errors = []
    for limit in limits:
        scale, zero = activation_parameters(max(ends[0], -limit), min(ends[1], limit), bits)
        integers = quantize_values(centres, scale, zero, (0, 2**bits - 1))
        errors.append(float(counts @ ((integers - zero) * float(scale) - centres) ** 2))
    return float(limits[int(np.argmin(errors))])


def _least_entropy(magnitudes: Array, levels: int) -> int:
    """Bins to keep: clipped and rounded to levels, the distribution stays nearest to the clipped one."""
    total = len(magnitudes)
    kept = range(min(levels, total), total + 1, max(1, total // _STEPS))
    return kept[int(np.argmin([_divergence(magnitudes, count, levels) for count in kept]))]


def _divergence(magnitudes: Array, kept: int, levels: int) -> float:
    """Divergence in nats of ``kept`` bins, the tail added to the last, from their levels, without the tail.

    The levels are not scaled up to the bins' sum, as Migacz 2017 has it: the I-divergence of unnormalized
    measures (Csiszar 1975) then counts the lost tail. Scaled up, a tensor of few distinct values (pixels of
    16 grey levels) seems best kept when all but its least value is clipped.
    """
    inside = magnitudes[:kept].astype(np.float64)
    reference = inside.copy()
    reference[-1] += magnitudes[kept:].sum()
    level = np.arange(kept) * levels // kept
    filled = reference > 0
    sums = np.bincount(level, weights=inside, minlength=levels)
    shares = np.bincount(level, weights=filled, minlength=levels)
    rounded = np.where(filled, (sums / np.maximum(shares, 1))[level], 0.0)
    if rounded.sum() == 0:
        return float("inf")
    # Bins that clipping filled and rounding left empty are smoothed, as the method's description has it.
    p = reference[filled] / reference.sum()
    q = np.maximum(rounded[filled] / reference.sum(), _SMOOTHING)
    return float(np.sum(p * np.log(p / q) - p + q))


def _session(model: Any, tensors: list[str]) -> tuple[Any, list[str]]:
    """A session that gives the tensors that are not inputs, and their names."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    given = {item.name for item in probe.graph.input}
    names = [tensor for tensor in tensors if tensor not in given]
    known = {item.name for item in probe.graph.output}
    probe.graph.output.extend(
        helper.make_empty_tensor_value_info(name) for name in names if name not in known
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session, names


def _values(session: Any, names: list[str], workload: Workload) -> Iterator[Mapping[str, Array]]:
    empty = True
    for feed in _feeds(workload):
        empty = False
        yield feed | dict(zip(names, session.run(names, feed) if names else [], strict=True))
    if empty:
        raise WorkloadError(
            f"workload {workload.name!r}: the calibration split is empty; static ranges need examples"
        )


def _feeds(workload: Workload) -> Iterator[dict[str, Array]]:
    try:
        for inputs, _ in workload.batches("calibration", CALIBRATION_BATCH, limit=CALIBRATION_EXAMPLES):
            names = input_names(len(inputs))
            yield {name: tensor.numpy() for name, tensor in zip(names, inputs, strict=True)}
    except Exception as error:  # the user's code may raise anything
        raise WorkloadError(f"workload {workload.name!r}: batches raised {one_line(error)}") from error
