"""What a claim reads off artifacts: right answers on the test split with their uncertainty, and latency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from compression import Deployment, compress, input_names
from evaluators.latency import BASELINE
from evaluators.meter import Meter
from evaluators.runtime import open_session, predict
from evaluators.targets import find_target, reduces_range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from compression import Compressed, Workload
    from evaluators.backends import Execution
    from evaluators.latency import Timing
    from spaces import Policy

Flags = NDArray[np.float64]

SPLIT: Final = "test"
RESAMPLES: Final = 1000


def here() -> Deployment:
    """The deployment of this machine's CPU."""
    target = find_target("local-cpu")
    return Deployment(target.capabilities.channel_multiple, reduces_range(target))


def apply(workload: Workload, reference: nn.Module, policy: Policy, path: Path, seed: int = 0) -> Compressed:
    """`compress` for this machine's CPU."""
    return compress(workload, reference, policy, path, deployment=here(), seed=seed)


def right_answers(path: Path, workload: Workload) -> Flags:
    """1 for each example of the test split that an artifact classifies rightly, else 0; ``n``."""
    outputs, targets = predict(open_session(path), workload, SPLIT)
    found: Flags = (outputs.argmax(axis=1) == targets).astype(np.float64)
    return found


def parameters(model: nn.Module) -> int:
    """How many numbers a model learns."""
    return sum(parameter.numel() for parameter in model.parameters())


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % bootstrap percentile interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> str:
        """In percent or points."""
        return f"{100 * self.low:.1f} to {100 * self.high:.1f}"


def estimate(statistic: Callable[[NDArray[Any]], float], seeds: int, examples: int, seed: int) -> Estimate:
    """A statistic, resampled over seeds and over examples at once (pairs stay pairs).

    Args:
        statistic: of a function's ``(chosen seeds x 1, chosen examples)`` index, see `difference`.
        seeds: how many runs there are.
        examples: of the split.
        seed: of the resampling.
    """
    whole: Any = np.ix_(np.arange(seeds), np.arange(examples))
    generator = np.random.default_rng(seed)
    values = [
        statistic(
            np.ix_(generator.integers(0, seeds, seeds), generator.integers(0, examples, examples))  # type: ignore[arg-type]
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.quantile(values, [0.025, 0.975])
    return Estimate(statistic(whole), float(low), float(high))


def difference(one: Sequence[Flags], other: Sequence[Flags], seed: int = 0) -> Estimate:
    """Mean accuracy of one method minus another's, run with the same seeds on the same examples."""
    gaps = np.stack(one) - np.stack(other)
    return estimate(lambda chosen: float(gaps[chosen].mean()), *_counts(gaps), seed)


def retained(runs: Sequence[Flags], reference: Flags, seed: int = 0) -> Estimate:
    """Mean accuracy of runs over the reference's, on the same examples."""
    students, teacher = np.stack(runs), np.broadcast_to(reference, (len(runs), len(reference)))
    return estimate(
        lambda chosen: float(students[chosen].mean() / teacher[chosen].mean()), *_counts(students), seed
    )


def percent(flags: Flags | Sequence[Flags]) -> str:
    """Mean accuracy, in words."""
    return f"{100 * float(np.mean(flags)):.2f} %"


def latencies(
    workload: Workload, artifacts: Mapping[str, Path], baseline: Path, execution: Execution | None = None
) -> dict[str, Timing]:
    """Each artifact's latency relative to the baseline's, all in one run of one thread.

    Args:
        workload: for example inputs.
        artifacts: files by name.
        baseline: the float file.
        execution: by what runtime; ONNX Runtime if nothing is said.
    """
    inputs = workload.example_inputs()
    feed = {name: value.numpy() for name, value in zip(input_names(len(inputs)), inputs, strict=True)}
    meter = Meter(execution)
    try:
        return meter.measure({**artifacts, BASELINE: baseline}, feed)
    finally:
        meter.close()


def speedup(timing: Timing) -> str:
    """How many times as fast as the baseline, in words."""
    return f"{1 / timing.ratio:.2f}x" + (" (contended)" if timing.contended else "")


def _counts(runs: NDArray[Any]) -> tuple[int, int]:
    """Seeds and examples."""
    seeds, examples = runs.shape
    return seeds, examples
