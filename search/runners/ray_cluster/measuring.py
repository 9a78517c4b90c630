"""Latency, measured on the nodes of a cluster that declare a target: one measurement a node at a time."""

from __future__ import annotations

import io
import json
import tempfile
import time
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import ray

from evaluators.latency import BASELINE
from evaluators.targets import Target, check_host, fingerprint
from search.resources import Resources
from search.runners.ray_cluster.cluster import TARGET, shortage
from spaces import MeasurementError, TautenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from evaluators.meter import Meter

LOOK_S: Final = 5.0
PATIENCE_S: Final = 120.0
"""How long a measurement waits while no node declares its target."""

RETRIES: Final = 2


class Measuring:
    """Sends an evaluator's artifacts to a node that can measure its target, and waits for the times.

    Args:
        target: measured, in its JSON form.
    """

    def __init__(self, target: dict[str, Any]) -> None:
        self._target, self._name = ray.put(target), str(target["name"])
        self._baseline: tuple[str, Any] | None = None
        self._task = ray.remote(measure).options(
            num_cpus=0, resources={TARGET + self._name: 1}, max_retries=RETRIES
        )

    def __call__(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to a request of `evaluators.remote_meter.RemoteMeter`."""
        contents = {name: self._sent(name, Path(path)) for name, path in request["artifacts"].items()}
        feed = Path(request["feed"]).read_bytes()
        call = self._task.remote(self._target, contents, feed, request["seed"], request["quiet_ms"])
        try:
            return self._waited(call)
        except TautenError as error:
            return _refusal(error)
        except ray.exceptions.RayTaskError as error:
            why = f"{type(error.cause).__name__}: {error.cause}"
            return _refusal(MeasurementError(f"the measuring node cannot measure: {why}"))
        except ray.exceptions.RayError as error:
            return _refusal(MeasurementError(f"the measuring node was lost: {type(error).__name__}"))

    def _waited(self, call: Any) -> dict[str, Any]:
        until = time.monotonic() + PATIENCE_S
        while not ray.wait([call], timeout=LOOK_S)[0]:
            why = shortage(Resources(), self._name)
            if why is None:
                until = time.monotonic() + PATIENCE_S
            elif time.monotonic() > until:
                ray.cancel(call)
                raise MeasurementError(f"{why} (waited {PATIENCE_S:g} s)")
        reply: dict[str, Any] = ray.get(call)
        return reply

    def _sent(self, name: str, path: Path) -> Any:
        """In the object store; the baseline, which comes with every request, is put there once."""
        if name != BASELINE:
            return ray.put(path.read_bytes())
        if self._baseline is None or self._baseline[0] != str(path):
            self._baseline = str(path), ray.put(path.read_bytes())
        return self._baseline[1]


def measure(
    target: dict[str, Any], contents: Mapping[str, Any], feed: bytes, seed: int, quiet_ms: float | None
) -> dict[str, Any]:
    """Times artifacts on this node.

    Args:
        target: in its JSON form.
        contents: references to the artifacts' bytes, by name.
        feed: the inputs of one call, as `numpy.savez` writes them.
        seed: of the order and of the intervals.
        quiet_ms: the baseline's time on a quiet machine.

    Returns:
        ``timings`` and ``host``, or ``error`` and ``kind``.
    """
    parsed = Target.from_dict(target)
    artifacts = dict(zip(contents, ray.get(list(contents.values())), strict=True))
    try:
        check_host(parsed)
        with np.load(io.BytesIO(feed)) as kept:
            inputs = {name: kept[name] for name in kept.files}
        with tempfile.TemporaryDirectory() as scratch:
            paths = {name: Path(scratch) / f"{at}.onnx" for at, name in enumerate(artifacts)}
            for name, path in paths.items():
                path.write_bytes(artifacts[name])
            meter = _meter(json.dumps(target))
            timings = meter.measure(paths, inputs, seed=seed, quiet_ms=quiet_ms)
    except TautenError as error:
        return _refusal(error)
    return {
        "timings": {name: asdict(timing) for name, timing in timings.items()},
        "host": fingerprint(parsed),
    }


@lru_cache(maxsize=1)
def _meter(target: str) -> Meter:
    """The measuring process of a target; it ends with this one."""
    from evaluators.backends import Execution  # with the runtimes, which evaluators need not load
    from evaluators.meter import Meter

    parsed = Target.from_dict(json.loads(target))
    return Meter(Execution(parsed.backend, parsed.backend_options, parsed.threads, parsed.pin))


def _refusal(error: TautenError) -> dict[str, Any]:
    return {"error": str(error), "kind": type(error).__name__}
