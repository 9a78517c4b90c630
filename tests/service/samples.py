"""A search as it could have run: a spec, a reference and five trials."""

from __future__ import annotations

from search.trial import Trial, TrialState
from spaces import (
    ActivationFormat,
    LayerPolicy,
    Metric,
    Policy,
    Prune,
    Recovery,
    WeightFormat,
    metrics_to_dict,
)

SPEC = {
    "workload": "digits-cnn",
    "constraints": {"accuracy_drop": {"max": 0.01}},
    "sampler": "tpe",
    "budget": {"trials": 5},
}


def metrics(accuracy, latency, size):
    return {
        "accuracy": Metric(
            accuracy, "fraction", low=accuracy - 0.01, high=min(accuracy + 0.01, 1.0), split="validation"
        ),
        "accuracy_drop": Metric(
            0.99 - accuracy, "fraction", low=0.98 - accuracy, high=1.0 - accuracy, split="validation"
        ),
        "latency_ms": Metric(
            latency, "ms", low=latency * 0.99, high=latency * 1.01, speedup=0.4 / latency, contended=False
        ),
        "size_bytes": Metric(size, "byte", ratio=1_800_000 / size),
        "macs": Metric(size * 10, "mac", ratio=1.0),
    }


REFERENCE = {
    "metrics": metrics_to_dict(metrics(0.99, 0.4, 1_800_000)),
    "calibrated_ms": 0.4,
    "artifact": {"digest": "sha256:" + "0" * 64, "size_bytes": 1_800_000},
    "provenance": {
        "workload": {"name": "digits-cnn", "model": "sha256:" + "aa" * 32, "data": "sha256:" + "bb" * 32},
        "target": {"name": "local-cpu", "fingerprint": {"cpu": "a CPU"}},
        "deployment": {"channel_multiple": 8, "reduce_range": False, "opset": 17},
        "reference": {"artifact": "sha256:" + "0" * 64},
    },
}

# accuracy, latency, size, state
TRIALS = (
    (0.99, 0.25, 500_000, TrialState.COMPLETED),
    (0.985, 0.10, 140_000, TrialState.COMPLETED),
    (0.95, 0.30, 600_000, TrialState.COMPLETED),
    (0.0, 0.0, 0, TrialState.INFEASIBLE),
    (0.90, 0.06, 60_000, TrialState.COMPLETED),
)
INT8 = {"weight": WeightFormat(8), "activation": ActivationFormat(8, "static")}


def policy_of(number):
    return Policy(layers={"stem.0": LayerPolicy(Prune(0.1 * number), **INT8)}, recovery=Recovery())


def finished(artifacts, directory):
    """The trials, each with an artifact in the store where it completed."""
    for number, (accuracy, latency, size, state) in enumerate(TRIALS):
        point = {"student": 0, "0/prune:stem.0": number}
        origin = "anchor" if number < 2 else "tpe"
        if state is not TrialState.COMPLETED:
            reason = "does not run as the policy says: stem.0: asked int8, runs as float32"
            yield Trial(number, policy_of(number), point, origin, state=state, reason=reason, seconds=0.5)
            continue
        path = directory / f"made-{number}.onnx"
        path.write_bytes(f"artifact {number}".encode())
        found = metrics(accuracy, latency, size)
        excess = found["accuracy_drop"].value - 0.01
        yield Trial(
            number,
            policy_of(number),
            point,
            origin,
            state=state,
            metrics=found,
            executed_as={"stem.0": "int8", "head": "float32"},
            artifact=artifacts.put(path),
            violates={"accuracy_drop": excess} if excess > 1e-9 else {},
            seconds=2.0,
        )
