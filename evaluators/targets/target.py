"""A declared hardware target: what can run there, and how its latency is obtained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from evaluators.targets.calibration import Calibration, overheads
from evaluators.targets.hardware import (
    ANY,
    DTYPES,
    LAYERS,
    Energy,
    Memory,
    Sparsity,
    among,
    compute_dtype,
    figures,
    kernel_names,
    positive,
)
from evaluators.targets.host import HostRequirements
from evaluators.targets.sources import Source, check_sources
from spaces import DEVICES, Capabilities, Fault, InvalidTarget, InvalidValue, Kernel, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TARGET_KINDS: Final = ("measured", "modelled")
BACKENDS: Final = ("onnxruntime", "openvino", "torch")
"""Names of `evaluators.backends.BACKENDS`."""
MOST_THREADS: Final = 1024
LIMITED: Final = ("size_bytes", "packed_size_bytes", "peak_memory_bytes")
"""Metrics that a target may limit: what must fit into its flash, and into its RAM."""


@dataclass(frozen=True, slots=True)
class Target:
    """A hardware target.

    Attributes:
        name: names it in jobs and recipes.
        kind: ``measured`` on this host, or ``modelled`` by its figures.
        description: one line for a person.
        backend: runtime that executes artifacts, of `BACKENDS`; on a modelled target it gives the accuracy.
        batch: examples in a latency measurement's call.
        threads: of the runtime.
        capabilities: what bounds a search.
        reduce_range: 7-bit int8 weights: yes, no, or ``None`` to decide by this host's CPU, which runs the
            artifact in any case.
        sources: where each figure comes from, by field or by one figure of it (``memory/bandwidth_bytes_s``).
        backend_options: of the runtime.
        pin: the measuring process is bound to its cores.
        host_requires: what a measured target needs of the host.
        peak_ops: dense operations a second by what is multiplied, all threads; two a multiply-accumulate.
        channel_block: channels that a kernel computes at once, by what is multiplied; `channel_multiple` of
            what is not named.
        efficiency: share of the peak that kernels reach, by operator; of ``other``, share of the bandwidth.
        memory: bandwidth and sizes, or ``None`` where nothing is modelled.
        overhead_us: microseconds by kernel, and once a ``call``.
        limits: the most that a metric of `LIMITED` may be.
        sparsity: zero weights that are not computed.
        energy: picojoules, or ``None``.
        calibration: efficiency and overhead fitted to measured samples, instead of the declared ones.
    """

    name: str
    kind: str
    description: str
    backend: str
    batch: int
    threads: int
    capabilities: Capabilities
    reduce_range: bool | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    pin: bool = True
    host_requires: HostRequirements = field(default_factory=HostRequirements)
    peak_ops: Mapping[str, float] = field(default_factory=dict)
    channel_block: Mapping[str, int] = field(default_factory=dict)
    efficiency: Mapping[str, float] = field(default_factory=dict)
    memory: Memory | None = None
    overhead_us: Mapping[str, float] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    sparsity: tuple[Sparsity, ...] = ()
    energy: Energy | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if self.is_modelled:
            faults = tuple(self._missing())
            if faults:
                raise InvalidTarget(faults)

    @property
    def is_modelled(self) -> bool:
        """Latency is computed from the figures, not measured."""
        return self.kind == "modelled"

    def _missing(self) -> Iterator[Fault]:
        """Figures without which no latency can be computed."""
        if self.memory is None:
            yield Fault("/memory", "is required of a modelled target; give bandwidth_bytes_s")
        if "float32" not in self.peak_ops:
            yield Fault("/peak_ops/float32", "is required: layers that are not quantized run in it")
        for name in ("efficiency", "overhead_us"):
            if ANY not in getattr(self, name):
                yield Fault(f"/{name}/{ANY}", "is required: it holds for all kernels that are not named")
        for index, kernel in enumerate(self.capabilities.kernels):
            dtype = compute_dtype(kernel.weight_bits, kernel.activation_bits, self.peak_ops)
            if dtype not in self.peak_ops:
                yield Fault(f"/kernels/{index}", f"computes in {dtype}, and peak_ops has no {dtype}; add it")
        if self.energy is not None:
            for dtype in self.peak_ops:
                if dtype not in self.energy.mac_pj:
                    yield Fault("/energy_pj/mac", f"has no {dtype}, which peak_ops has; add it")

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, with the fields of the YAML file; what is not declared is left out."""
        optional = {
            "host_requires": self.host_requires.to_dict(),
            "peak_ops": dict(self.peak_ops),
            "channel_block": dict(self.channel_block),
            "efficiency": dict(self.efficiency),
            "memory": None if self.memory is None else self.memory.to_dict(),
            "overhead_us": dict(self.overhead_us),
            "limits": dict(self.limits),
            "sparsity": [item.to_dict() for item in self.sparsity],
            "energy_pj": None if self.energy is None else self.energy.to_dict(),
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
        }
        return {
            "name": self.name,
            "kind": self.kind,
            "description": self.description,
            "device": self.capabilities.device,
            "runtime": {"backend": self.backend, "options": dict(self.backend_options)},
            "workload": {"batch": self.batch, "threads": self.threads, "pin": self.pin},
            "channel_multiple": self.capabilities.channel_multiple,
            "reduce_range": "auto" if self.reduce_range is None else self.reduce_range,
            "kernels": [kernel.to_dict() for kernel in self.capabilities.kernels],
            **{name: value for name, value in optional.items() if value},
            "sources": {name: source.to_dict() for name, source in self.sources.items()},
        }

    @classmethod
    def from_dict(cls, document: Any) -> Target:
        """Reads the JSON form.

        Raises:
            InvalidTarget: with a pointer to each wrong field: of the wrong type, out of its range, unknown,
                of an unknown operator, or a figure without a source.
        """
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
        kind = read.text("kind", choices=TARGET_KINDS)
        description = read.text("description", "")
        device = read.text("device", "cpu", DEVICES)
        runtime = Reader(read.required("runtime"), "/runtime", InvalidTarget)
        backend = runtime.text("backend", choices=BACKENDS)
        options = runtime.mapping("options", lambda item, _: item)
        runtime.done()
        run = Reader(read.raw("workload", {}), "/workload", InvalidTarget)
        batch, threads = run.whole("batch", 1, low=1), run.whole("threads", 1, low=1, high=MOST_THREADS)
        pin = run.flag("pin", True)
        run.done()
        multiple = read.whole("channel_multiple", 1, low=1)
        reduce_range = read.raw("reduce_range", "auto")
        if reduce_range != "auto" and not isinstance(reduce_range, bool):
            raise read.fail("reduce_range", f"must be true, false or auto, not {reduce_range!r}")
        kernels = read.items("kernels", _read_kernel, ())
        sparsity = read.items("sparsity", Sparsity.from_dict, ())
        found = {
            "host_requires": read.optional("host_requires", HostRequirements.from_dict) or HostRequirements(),
            "peak_ops": read.optional("peak_ops", lambda item, at: figures(item, at, DTYPES)) or {},
            "channel_block": read.optional("channel_block", _read_blocks) or {},
            "efficiency": read.optional("efficiency", _read_efficiency) or {},
            "memory": read.optional("memory", Memory.from_dict),
            "overhead_us": read.optional("overhead_us", overheads) or {},
            "limits": read.optional("limits", lambda item, at: figures(item, at, LIMITED)) or {},
            "energy": read.optional("energy_pj", Energy.from_dict),
            "calibration": read.optional("calibration", Calibration.from_dict),
        }
        sources = read.mapping("sources", Source.from_dict)
        patterns = tuple(dict.fromkeys(item.pattern for item in sparsity))
        capabilities = Capabilities(kernels, multiple, patterns, device)
        target = read.build(
            cls,
            name,
            kind,
            description,
            backend,
            batch,
            threads,
            capabilities,
            None if reduce_range == "auto" else reduce_range,
            sources,
            backend_options=options,
            pin=pin,
            sparsity=sparsity,
            **found,
        )
        check_sources(document, sources)
        return target


def _read_kernel(document: Any, pointer: str) -> Kernel:
    kernel = Kernel.from_dict(document, pointer)
    among(kernel.op, f"{pointer}/op", (ANY, *LAYERS))
    return kernel


def _read_blocks(document: Any, pointer: str) -> dict[str, int]:
    read = Reader(document, pointer, InvalidTarget)
    found = {name: read.whole(name, low=1) for name in DTYPES if name in document}
    read.done()
    return found


def _read_efficiency(document: Any, pointer: str) -> dict[str, float]:
    return figures(document, pointer, kernel_names(), read_value=positive, high=1.0)
