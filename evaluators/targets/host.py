"""What this host is: CPU features that shape artifacts, and a fingerprint of where a number was measured."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluators.targets.target import Target


@cache
def cpu() -> tuple[str, frozenset[str]]:
    """The CPU's model name and feature flags; both empty where the system does not tell."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor(), frozenset()
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    flags = fields.get("flags") or fields.get("Features") or ""
    return fields.get("model name", platform.machine()), frozenset(flags.split())


def saturates_int8() -> bool:
    """8-bit weights overflow 16-bit sums here: an x86 CPU without VNNI, or one that does not tell.

    Source: ONNX Runtime, "Quantize ONNX models", when to use reduce-range.
    """
    if platform.machine().lower() not in {"x86_64", "amd64", "i386", "i686"}:
        return False
    return not cpu()[1] & {"avx512_vnni", "avx_vnni"}


def reduces_range(target: Target) -> bool:
    """Int8 weights use 7 bits on this target, measured here."""
    return saturates_int8() if target.reduce_range is None else target.reduce_range


def fingerprint(target: Target) -> dict[str, Any]:
    """What a measured number depends on: CPU, system, runtime and threads."""
    name, flags = cpu()
    return {
        "cpu": name,
        "machine": platform.machine(),
        "vnni": bool(flags & {"avx512_vnni", "avx_vnni"}),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "runtime": f"onnxruntime {version('onnxruntime')}",
        "threads": target.threads,
        "batch": target.batch,
    }
