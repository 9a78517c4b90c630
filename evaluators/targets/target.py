"""A declared hardware target: what can run there, and how its latency is obtained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from spaces import Capabilities, InvalidTarget, InvalidValue, Kernel, Reader, UnknownName

SHIPPED: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Target:
    """A hardware target.

    Attributes:
        name: names it in jobs and recipes.
        kind: ``measured`` on this host.
        description: one line for a person.
        backend: runtime that executes artifacts: ``onnxruntime``.
        batch: examples in a latency measurement's call.
        threads: of the runtime.
        capabilities: what bounds a search.
        reduce_range: 7-bit int8 weights: yes, no, or ``None`` to decide by the CPU's features.
        sources: where each figure comes from, by field.
    """

    name: str
    kind: str
    description: str
    backend: str
    batch: int
    threads: int
    capabilities: Capabilities
    reduce_range: bool | None = None
    sources: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, with the fields of the YAML file."""
        return {
            "name": self.name,
            "kind": self.kind,
            "description": self.description,
            "runtime": {"backend": self.backend},
            "workload": {"batch": self.batch, "threads": self.threads},
            "channel_multiple": self.capabilities.channel_multiple,
            "reduce_range": "auto" if self.reduce_range is None else self.reduce_range,
            "kernels": [kernel.to_dict() for kernel in self.capabilities.kernels],
            "sources": dict(self.sources),
        }

    @classmethod
    def from_dict(cls, document: Any) -> Target:
        """Reads the JSON form; `InvalidTarget` names the field."""
        try:
            return cls._read(document)
        except InvalidTarget:
            raise
        except InvalidValue as error:
            raise InvalidTarget(error.faults) from None

    @classmethod
    def _read(cls, document: Any) -> Target:
        read = Reader(document, "", InvalidTarget)
        name = read.text("name")
        kind = read.text("kind", choices=("measured",))
        description = read.text("description", "")
        runtime = Reader(read.required("runtime"), "/runtime", InvalidTarget)
        backend = runtime.text("backend", choices=("onnxruntime",))
        runtime.done()
        run = Reader(read.raw("workload", {}), "/workload", InvalidTarget)
        batch, threads = run.whole("batch", 1, low=1), run.whole("threads", 1, low=1, high=1)
        run.done()
        multiple = read.whole("channel_multiple", 1, low=1)
        reduce_range = read.raw("reduce_range", "auto")
        if reduce_range != "auto" and not isinstance(reduce_range, bool):
            raise read.fail("reduce_range", f"must be true, false or auto, not {reduce_range!r}")
        kernels = read.items("kernels", Kernel.from_dict, ())
        sources = read.mapping("sources", lambda item, _: str(item))
        read.done()
        capabilities = Capabilities(kernels, multiple)
        decided = None if reduce_range == "auto" else reduce_range
        return cls(name, kind, description, backend, batch, threads, capabilities, decided, sources)


def list_targets() -> dict[str, Target]:
    """The shipped targets by name."""
    targets = [read_target(path) for path in sorted(SHIPPED.glob("*.yaml"))]
    return {target.name: target for target in targets}


def find_target(name: str) -> Target:
    """The target of a name.

    Raises:
        UnknownName: with the names that exist.
    """
    targets = list_targets()
    if name not in targets:
        raise UnknownName("target", name, tuple(targets))
    return targets[name]


def read_target(path: Path) -> Target:
    """Reads a target's YAML file.

    Raises:
        InvalidTarget: the message names the file and the field.
    """
    try:
        return Target.from_dict(yaml.safe_load(path.read_text()))
    except yaml.YAMLError as error:
        raise InvalidTarget.at("", f"{path} is not YAML: {error}") from error
    except InvalidTarget as error:
        first = error.faults[0]
        raise InvalidTarget.at(first.pointer, f"{first.detail} (in {path})") from None
