"""Declared hardware targets: one YAML file each beside this package's code, and users' own."""

from evaluators.targets.calibration import Calibration
from evaluators.targets.catalogue import find_target, is_target_file, list_targets, read_target
from evaluators.targets.host import (
    check_host,
    cpu,
    fingerprint,
    host_fingerprint,
    reduces_range,
    saturates_int8,
)
from evaluators.targets.simulation import offers_simulated
from evaluators.targets.sources import Source
from evaluators.targets.target import Target

__all__ = [
    "Calibration",
    "Source",
    "Target",
    "check_host",
    "cpu",
    "find_target",
    "fingerprint",
    "host_fingerprint",
    "is_target_file",
    "list_targets",
    "offers_simulated",
    "read_target",
    "reduces_range",
    "saturates_int8",
]
