"""What this host is: CPU features that shape artifacts, and a fingerprint of where a number was measured."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spaces import InvalidTarget, MeasurementError, Reader, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evaluators.targets.target import Target


@dataclass(frozen=True, slots=True)
class HostRequirements:
    """What a measured target needs of the host; what is left out is not looked at.

    Attributes:
        machine: as `platform.machine` has it, such as ``x86_64`` or ``aarch64``.
        flags: CPU features, as Linux lists them, such as ``avx512_vnni``; all are needed.
        cores: at least so many.
        system: as `platform.system` has it, such as ``Linux``.
    """

    machine: str | None = None
    flags: tuple[str, ...] = ()
    cores: int = 0
    system: str | None = None

    def lacking(self) -> Iterator[str]:
        """What this host lacks, in words."""
        if self.machine not in {None, platform.machine()}:
            yield f"machine {self.machine}, and this one is {platform.machine()}"
        missing = [flag for flag in self.flags if flag not in cpu()[1]]
        if missing:
            yield f"CPU features {', '.join(missing)}, which {cpu()[0]} lacks"
        if (os.cpu_count() or 1) < self.cores:
            yield f"{self.cores} cores, and this one has {os.cpu_count()}"
        if self.system not in {None, platform.system()}:
            yield f"system {self.system}, and this one is {platform.system()}"

    def to_dict(self) -> dict[str, Any]:
        """The form of the YAML file, without what is not required."""
        form = {
            "machine": self.machine,
            "flags": list(self.flags),
            "cores": self.cores,
            "system": self.system,
        }
        return {name: value for name, value in form.items() if value}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> HostRequirements:
        """Reads the form of the YAML file; `InvalidTarget` names the field."""
        read = Reader(document, pointer, InvalidTarget)
        return read.build(
            cls,
            read.text_or_none("machine"),
            read.texts("flags", ()),
            read.whole("cores", 0),
            read.text_or_none("system"),
        )


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


def check_host(target: Target) -> None:
    """Refuses to measure on a host that lacks what the target requires.

    Raises:
        MeasurementError: names what is required, what this host has, and what to do.
    """
    if target.is_modelled:
        return
    lacks = list(target.host_requires.lacking())
    if lacks:
        raise MeasurementError(
            f"target {target.name!r} is measured on a host with {'; '.join(lacks)}; "
            "run the worker on such a host, or choose another target"
        )


def fingerprint(target: Target) -> dict[str, Any]:
    """What a number depends on: CPU, system, runtime, threads; of a modelled target, its figures too."""
    found = host_fingerprint(target)
    return found | {"figures": digest_of(target.to_dict())} if target.is_modelled else found


def host_fingerprint(target: Target) -> dict[str, Any]:
    """What a number that is measured here depends on, with a target's threads and batch."""
    name, flags = cpu()
    return {
        "cpu": name,
        "machine": platform.machine(),
        "vnni": bool(flags & {"avx512_vnni", "avx_vnni"}),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "runtime": f"{target.backend} {version(target.backend)}",
        "threads": target.threads,
        "batch": target.batch,
    }
