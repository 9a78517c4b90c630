"""Whether latencies that are computed from this host's figures, fitted to some policies, hold for others."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.table import Row
from compression import Deployment, deploy, export_float, input_names, shape, take_inventory
from evaluators.latency import BASELINE
from evaluators.meter import Meter
from evaluators.modelled.calibrating import Errors, Sample, calibrate, errors
from evaluators.modelled.graph_costs import read_costs
from evaluators.modelled.host_figures import measure_host, modelled_host
from evaluators.modelled.roofline import Roofline
from evaluators.targets import find_target, host_fingerprint, reduces_range
from evaluators.workloads.digits_cnn import DigitsNet
from evaluators.workloads.fashion_mobilenet import MobileNet
from spaces import Axis, Policy, SearchSpace, SpaceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from compression import Batch
    from evaluators.targets import Target

UNSEEN: Final = 10
"""Policies of each architecture that are predicted."""

SEEN: Final = {True: 40, False: 50}
"""Policies of each architecture that the fit sees, by whether the benchmark is to be quick."""

SPLITS: Final = 20
"""Other splits of the same policies into seen and unseen ones, for comparison."""

ATTEMPTS: Final = 3
"""A measurement is repeated while the machine is contended."""

MOST_ERROR: Final = 0.05
LEAST_TAU: Final = 0.95


@dataclass
class Untrained:
    """A network with random weights and random images: neither changes a latency.

    Attributes:
        name: for people.
        network: its class.
        size: rows and columns of an image.
    """

    name: str
    network: type[nn.Module]
    size: int
    task: str = "image-classification"

    def model(self) -> nn.Module:
        """The same weights each time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.network().eval()

    def example_inputs(self) -> tuple[Tensor, ...]:
        """One image."""
        return next(self.batches("calibration", 1, limit=1))[0]

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Noise, 32 images at most."""
        images = torch.rand(32, 1, self.size, self.size, generator=torch.Generator().manual_seed(0))
        for batch in torch.split(images[: min(limit or 32, 32)], batch_size):
            yield (batch,), torch.zeros(len(batch), dtype=torch.long)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy; nothing is trained with it."""
        return nn.functional.cross_entropy(outputs, targets)

    def metric(self, outputs: Any, targets: Any) -> float:
        """Share of right answers; nobody asks."""
        return float((outputs.argmax(axis=1) == targets).mean())


ARCHITECTURES: Final = (Untrained("residual", DigitsNet, 8), Untrained("inverted residual", MobileNet, 28))


def rows(directory: Path, *, quick: bool, seed: int, say: Callable[[str], None]) -> Iterator[Row]:
    """The rows: calibrated predictions of unseen policies with the bars, and others for comparison.

    Args:
        directory: for artifacts.
        quick: fewer policies to fit to.
        seed: of the policies.
        say: told what is being measured.
    """
    local = find_target("local-cpu")
    say("this host's figures")
    target = modelled_host(measure_host(), local)
    every: list[list[Sample]] = []
    again: list[float] = []
    for workload in ARCHITECTURES:
        say(f"{SEEN[quick] + UNSEEN} policies of a network of {workload.name}s")
        paths = artifacts(workload, local, directory, SEEN[quick] + UNSEEN, seed)
        every.append(measured(workload, directory, paths))
        again += [sample.latency_ms for sample in measured(workload, directory, paths[:UNSEEN])]
    seen = [sample for samples in every for sample in samples[UNSEEN:]]
    together = [sample for samples in every for sample in samples[:UNSEEN]]
    fitted = calibrate(target, seen, host_fingerprint(local))
    found = predicted(fitted, together)
    what = f"{len(together)} unseen policies of two architectures, fitted to {len(seen)} others"
    each = [predicted(fitted, samples[:UNSEEN]) for samples in every]
    by_name = "; ".join(
        f"{workload.name} {100 * item.mape:.1f} %, {item.tau:.3f}"
        for workload, item in zip(ARCHITECTURES, each, strict=True)
    )
    yield Row(
        f"{what}: mean absolute error",
        f"<= {MOST_ERROR:.0%}",
        f"{100 * found.mape:.1f} %",
        by_name,
        found.mape <= MOST_ERROR,
    )
    yield Row(
        f"{what}: rank agreement", f"tau >= {LEAST_TAU:.2f}", f"{found.tau:.3f}", "", found.tau >= LEAST_TAU
    )
    yield from _compared(target, fitted, together, again)
    yield _split(target, every)


def _compared(target: Target, fitted: Target, unseen: list[Sample], again: list[float]) -> Iterator[Row]:
    """What any prediction can reach at most, what the calibration claims, and what it replaces."""
    ceiling = errors(np.array(again), np.array([sample.latency_ms for sample in unseen]))
    yield Row("the same policies, measured twice", "", f"{100 * ceiling.mape:.1f} %, tau {ceiling.tau:.3f}")
    stored = fitted.calibration
    assert stored is not None
    yield Row(
        "what the calibration says of itself, by folds",
        "",
        f"{100 * stored.mape:.1f} %, tau {stored.tau:.3f}",
        f"95 % within {100 * stored.error_95:.1f} %",
    )
    plain = predicted(target, unseen)
    yield Row("the same policies, uncalibrated", "", f"{100 * plain.mape:.0f} %, tau {plain.tau:.3f}")


def _split(target: Target, every: list[list[Sample]]) -> Row:
    """The same over other splits: whether the policies that were unseen above are luck."""
    found = []
    for number in range(SPLITS):
        draw = random.Random(number)  # noqa: S311
        mixed = [draw.sample(samples, len(samples)) for samples in every]
        fitted = calibrate(target, [sample for samples in mixed for sample in samples[UNSEEN:]])
        found.append(predicted(fitted, [sample for samples in mixed for sample in samples[:UNSEEN]]))
    mape, tau = np.array([item.mape for item in found]), np.array([item.tau for item in found])
    met = int(((mape <= MOST_ERROR) & (tau >= LEAST_TAU)).sum())
    return Row(
        f"{SPLITS} other splits of these policies",
        "",
        f"{100 * mape.mean():.1f} %, tau {tau.mean():.3f} ({met} of {SPLITS} within both bars)",
        f"worst {100 * mape.max():.1f} %, {tau.min():.3f}",
    )


def artifacts(workload: Untrained, local: Target, directory: Path, count: int, seed: int) -> list[Path]:
    """Random policies of a network, deployed without recovery."""
    model = workload.model()
    deployment = Deployment(local.capabilities.channel_multiple, reduces_range(local))
    export_float(model, workload, directory / f"{workload.size}-reference.onnx")
    paths = []
    for index, policy in enumerate(random_policies(workload, model, local, count, seed)):
        paths.append(directory / f"{workload.size}-{index}.onnx")
        shaped = shape(workload, model, policy, deployment=deployment, seed=0)
        deploy(shaped.model, workload, policy, paths[-1], deployment=deployment)
    return paths


def measured(workload: Untrained, directory: Path, paths: list[Path]) -> list[Sample]:
    """Artifacts of a network, measured on this host by a process of their own."""
    inputs = workload.example_inputs()
    feed = {name: value.numpy() for name, value in zip(input_names(len(inputs)), inputs, strict=True)}
    baseline = directory / f"{workload.size}-reference.onnx"
    meter = Meter()
    try:
        timings = [meter.measure({BASELINE: baseline}, feed)[BASELINE] for _ in range(ATTEMPTS)]
        quiet_ms = min(timing.cpu_ms for timing in timings)
        return [
            Sample(read_costs(path, feed), quiet_ms * _ratio(meter, baseline, path, feed, quiet_ms))
            for path in paths
        ]
    finally:
        meter.close()


def random_policies(
    workload: Untrained, model: nn.Module, local: Target, count: int, seed: int
) -> Iterator[Policy]:
    """Different policies, from mild to severe: each draws its own share of pruned and of quantized layers."""
    inventory = take_inventory(model, workload.example_inputs())
    request = SpaceRequest(recovery=(None,))
    space = SearchSpace.build(request, {None: inventory}, local.capabilities)
    draw = random.Random(seed)  # noqa: S311
    known: set[str] = set()
    while len(known) < count:
        shares = {"bits": draw.random(), "prune": draw.random()}

        def choose(axis: Axis, shares: dict[str, float] = shares) -> int:
            kind = "bits" if "/bits:" in axis.name else "prune"
            return draw.randrange(len(axis.choices)) if draw.random() < shares[kind] else 0

        policy = space.policy(space.decide(choose))
        if policy.digest not in known:
            known.add(policy.digest)
            yield policy


def predicted(target: Target, samples: list[Sample]) -> Errors:
    """How well a target's figures predict measured samples."""
    roofline = Roofline(target)
    found = np.array([roofline.latency_ms(sample.costs) for sample in samples])
    return errors(found, np.array([sample.latency_ms for sample in samples]))


def _ratio(meter: Meter, baseline: Path, path: Path, feed: dict[str, Any], quiet_ms: float) -> float:
    for attempt in range(ATTEMPTS):
        timing = meter.measure(
            {BASELINE: baseline, "candidate": path}, feed, seed=attempt, quiet_ms=quiet_ms
        )["candidate"]
        if not timing.contended:
            break
    return timing.ratio
