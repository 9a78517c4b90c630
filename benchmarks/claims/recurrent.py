"""Dynamic quantization of an LSTM: what it saves of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.digit_task import DigitTask, as_rows
from benchmarks.claims.scoring import apply, difference, right_answers
from benchmarks.claims.sequence_networks import RowLstm
from benchmarks.table import Row
from compression.training import Plan
from spaces import ActivationFormat, LayerPolicy, Policy, WeightFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

LEAST_SAVED = 0.5


def row_task() -> DigitTask:
    """Digits row by row, read by an LSTM of 96 states."""
    return DigitTask("claims-lstm", as_rows, RowLstm, Plan(40, "adamw", 5e-3))


def _run(setting: Setting) -> Iterator[Row]:
    task = row_task()
    model = task.model()
    int8 = Policy(layers={"lstm": LayerPolicy(None, WeightFormat(8), ActivationFormat(8, "dynamic"))})
    before = apply(task, model, Policy(), setting.directory / "float.onnx", setting.seed).artifact
    after = apply(task, model, int8, setting.directory / "int8.onnx", setting.seed).artifact
    saved = 1 - after.size_bytes / before.size_bytes
    yield Row(
        "LSTM (digits by rows), dynamic int8: share of the file that is saved",
        f">= {LEAST_SAVED:.0%}",
        f"{saved:.1%} ({before.size_bytes} to {after.size_bytes} bytes)",
        holds=saved >= LEAST_SAVED,
    )
    lost = difference([right_answers(before.path, task)], [right_answers(after.path, task)], setting.seed)
    yield Row("its accuracy lost, points", "", f"{100 * lost.value:.2f}", lost.interval, is_ours=False)


LSTM_DYNAMIC = Claim(
    "lstm-dynamic",
    "dynamic quantization halves an LSTM's memory",
    "PyTorch's tutorial on dynamic quantization of an LSTM language model",
    _run,
)
