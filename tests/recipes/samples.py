"""A recipe around any policy."""

from recipes import Recipe
from spaces import LayerPolicy, Metric, Policy, Prune


def recipe(policy=None, **fields):
    known = {
        "policy": policy if policy is not None else Policy(layers={"stem": LayerPolicy(Prune(0.5))}),
        "workload": {"name": "digits-cnn", "model": "sha256:" + "aa" * 32, "data": "sha256:" + "bb" * 32},
        "target": {"name": "local-cpu", "fingerprint": {"cpu": "a CPU", "vnni": False}},
        "deployment": {"channel_multiple": 8, "reduce_range": True, "opset": 17},
        "seed": 3,
        "versions": {"torch": "2.13.0"},
        "claims": {"accuracy": Metric(0.98, "fraction", low=0.97, high=0.99, split="validation")},
        "reference": {"accuracy": Metric(0.99, "fraction")},
        "artifact": {"digest": "sha256:" + "cc" * 32, "size_bytes": 1234},
        "origin": {"job": "abc", "trial": 17},
    }
    return Recipe(**(known | fields))
