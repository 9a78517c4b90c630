"""Whether two measurements of the same policies agree, on an idle machine and on a busy one."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from benchmarks.latency.agreement import Agreement
from benchmarks.latency.load import busy_cores
from benchmarks.latency.policies import artifacts
from benchmarks.latency.protocols import interleaved, one_after_another
from benchmarks.table import Row
from compression import export_float, input_names
from evaluators.latency import BASELINE
from evaluators.workloads.digits_cnn import DigitsCnn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

RUNS: Final = {True: 4, False: 10}
"""Independent measurements by whether the benchmark is to be quick; every two of them are compared."""

TAU: Final = {"idle": 0.95, "loaded": 0.90}
MOST_VARIATION: Final = 0.02


def rows(directory: Path, *, quick: bool, seed: int, say: Callable[[str], None]) -> Iterator[Row]:
    """The rows, as they are measured.

    Args:
        directory: for artifacts.
        quick: fewer runs, and policies in floats alone.
        seed: of the orders of calls.
        say: told what is being measured.
    """
    workload = DigitsCnn()
    model = workload.model()
    baseline = directory / "reference.onnx"
    export_float(model, workload, baseline)
    inputs = workload.example_inputs()
    feed = {name: value.numpy() for name, value in zip(input_names(len(inputs)), inputs, strict=True)}
    for form in ("float",) if quick else ("float", "int8"):
        paths = artifacts(workload, model, directory, int8=form == "int8") | {BASELINE: baseline}
        for condition, around in (("idle", nullcontext), ("loaded", busy_cores)):
            say(f"ten close {form} policies, {condition}")
            with around():
                runs = [interleaved(paths, feed, seed + run) for run in range(RUNS[quick])]
                naive = [one_after_another(paths, feed, seed + run) for run in range(RUNS[quick])]
            contended = sum(is_contended for _, is_contended in runs)
            what = f"ten close {form} policies, {condition}"
            yield from _judged(what, condition, np.stack([ratios for ratios, _ in runs]), contended)
            yield from _reported(what, np.stack(naive))


def _judged(what: str, condition: str, ratios: NDArray[Any], contended: int) -> Iterator[Row]:
    found, bar = Agreement.of(ratios), TAU[condition]
    tau, variation = float(np.median(found.taus)), float(found.variations.mean())
    note = f"{contended} of {len(ratios)} runs marked contended"
    yield Row(
        f"{what}: rank agreement of two runs",
        f"tau >= {bar:.2f}",
        f"{tau:.3f} ({note})",
        f"worst {found.taus.min():.3f}",
        tau >= bar,
    )
    yield Row(
        f"{what}: variation of a ratio",
        f"<= {MOST_VARIATION:.0%}",
        f"{variation:.2%}",
        f"worst policy {found.variations.max():.2%}",
        variation <= MOST_VARIATION,
    )


def _reported(what: str, ratios: NDArray[Any]) -> Iterator[Row]:
    found = Agreement.of(ratios)
    yield Row(
        f"{what}, timed one after another by the wall",
        "",
        f"tau {np.median(found.taus):.3f}, variation {found.variations.mean():.1%}",
        f"worst {found.taus.min():.3f}, {found.variations.max():.1%}",
    )
