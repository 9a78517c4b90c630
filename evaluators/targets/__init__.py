"""Declared hardware targets: one YAML file each beside this package's code."""

from evaluators.targets.host import cpu, fingerprint, reduces_range, saturates_int8
from evaluators.targets.target import Target, find_target, list_targets, read_target

__all__ = [
    "Target",
    "cpu",
    "find_target",
    "fingerprint",
    "list_targets",
    "read_target",
    "reduces_range",
    "saturates_int8",
]
