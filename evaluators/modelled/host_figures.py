"""Measures what this host's CPU reaches, so that it can be modelled like any other machine.

Rates come from products of matrices that fit the cache, run in ONNX Runtime as an artifact would be; the
bandwidth from copying more memory than any cache holds, and that of the last cache from copying what fits;
the overhead from a chain of the smallest operators.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from evaluators.runtime import open_session
from evaluators.targets.hardware import ANY, Memory
from evaluators.targets.host import HostRequirements, cpu
from evaluators.targets.sources import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from evaluators.targets import Target

SIZE: Final = 384
"""Rows and columns of the square matrices: 0.6 MB each in float32."""

LAYERS: Final = 4
COPY_BYTES: Final = 256 * 2**20
CACHED_BYTES: Final = 2**20
"""What a copy within the cache takes from it, twice."""

CACHES: Final = Path("/sys/devices/system/cpu/cpu0/cache")
CHAIN: Final = 200
REPEATS: Final = 15
IR_VERSION: Final = 10
OPSET: Final = 17
WIDE: Final = 16
NARROW: Final = 8
"""Channels that MLAS's kernels compute at once, with registers of 512 bits and of fewer."""

COPIES: Final = 2
"""Bytes that a copy moves for each byte of its source: one read, one written."""


@dataclass(frozen=True, slots=True)
class HostFigures:
    """What was measured.

    Attributes:
        float32_ops: operations a second, two a multiply-accumulate.
        int8_ops: the same in static int8.
        bandwidth_bytes_s: of one thread copying.
        overhead_us: of an operator that does next to nothing.
        threads: of the runtime.
        cache_bytes: of the last cache, or ``None`` where the system does not tell.
        cache_bandwidth_bytes_s: of one thread copying within it, or ``None``.
    """

    float32_ops: float
    int8_ops: float
    bandwidth_bytes_s: float
    overhead_us: float
    threads: int
    cache_bytes: float | None = None
    cache_bandwidth_bytes_s: float | None = None

    def to_dict(self) -> dict[str, float | None]:
        """The JSON form."""
        return {
            "float32_ops": self.float32_ops,
            "int8_ops": self.int8_ops,
            "bandwidth_bytes_s": self.bandwidth_bytes_s,
            "overhead_us": self.overhead_us,
            "threads": self.threads,
            "cache_bytes": self.cache_bytes,
            "cache_bandwidth_bytes_s": self.cache_bandwidth_bytes_s,
        }


def measure_host(threads: int = 1) -> HostFigures:
    """Measures this host, in a few seconds; on a busy one the figures are low.

    Args:
        threads: of the runtime; at least 1.
    """
    macs = LAYERS * SIZE**3
    values = np.random.default_rng(0).standard_normal((SIZE, SIZE)).astype(np.float32)
    float32, int8 = (
        2 * macs / _seconds(_call(model, {"x": values}, threads))
        for model in (_float_products(), _integer_products())
    )
    bandwidth, cache = _bandwidth(COPY_BYTES), _cache_bytes()
    small = {"x": np.zeros((1, 8), np.float32)}
    both = [_seconds(_call(_chain(count), small, threads)) for count in (CHAIN, 2 * CHAIN)]
    overhead_us = max(both[1] - both[0], 0.0) / CHAIN * 1e6
    within = None if cache is None else _bandwidth(min(CACHED_BYTES, cache // 4))
    return HostFigures(float32, int8, bandwidth, overhead_us, threads, cache, within)


def _bandwidth(size: int) -> float:
    """Bytes a second that copying so many bytes reads and writes."""
    source, copy = np.ones(size // 8), np.empty(size // 8)
    repeats = max(COPY_BYTES // size // 16, 1)

    def copies() -> None:
        for _ in range(repeats):
            np.copyto(copy, source)

    return COPIES * size * repeats / _seconds(copies)


def _cache_bytes() -> int | None:
    """Of the last cache that this CPU has, as Linux tells it."""
    found = []
    for index in CACHES.glob("index*"):
        try:
            level, size = ((index / name).read_text().strip() for name in ("level", "size"))
            found.append((int(level), int(size.removesuffix("K")) * 2**10))
        except (OSError, ValueError):  # a cache that does not say how large it is
            continue
    return max(found)[1] if found else None


def modelled_host(found: HostFigures, local: Target, name: str = "this-host") -> Target:
    """A modelled target with this host's figures, to be calibrated.

    Args:
        found: of `measure_host`.
        local: the measured target of this host; gives kernels and channels.
        name: of the new target.
    """
    measured = Source("measured", f"tauten targets measure, {found.threads} thread(s) of {cpu()[0]}")
    assumed = Source("derived", "an assumption: what large products reach is all there is; calibrate it")
    figures = ("peak_ops", "memory", "overhead_us")
    is_wide = "avx512f" in cpu()[1]
    block = Source("derived", f"registers of {512 if is_wide else 256} bits, by the CPU's flags")
    within = found.cache_bandwidth_bytes_s
    return replace(
        local,
        name=name,
        kind="modelled",
        description=f"{cpu()[0]}, ONNX Runtime, {found.threads} thread(s), as measured",
        threads=found.threads,
        host_requires=HostRequirements(),
        peak_ops={"float32": _short(found.float32_ops), "int8": _short(found.int8_ops)},
        channel_block=dict.fromkeys(("float32", "int8"), WIDE if is_wide else NARROW),
        efficiency={ANY: 0.5},
        memory=Memory(
            _short(found.bandwidth_bytes_s),
            cache_bytes=found.cache_bytes,
            cache_bandwidth_bytes_s=within and _short(within),
        ),
        overhead_us={ANY: _short(found.overhead_us)},
        sources={
            **local.sources,
            **dict.fromkeys(figures, measured),
            "efficiency": assumed,
            "channel_block": block,
        },
    )


def _float_products() -> Any:
    """``x`` times matrices, one after another."""
    weight = np.eye(SIZE, dtype=np.float32)
    nodes = [helper.make_node("MatMul", [f"v{i}", f"w{i}"], [f"v{i + 1}"]) for i in range(LAYERS)]
    return _model(nodes, {f"w{i}": weight for i in range(LAYERS)})


def _integer_products() -> Any:
    """The same in QDQ form, as static int8 artifacts have it; ONNX Runtime makes integer products of it."""
    stored = {
        "step": np.array(0.05, np.float32),
        "zero": np.array(128, np.uint8),
        "wstep": np.array(0.01, np.float32),
        "wzero": np.array(0, np.int8),
    }
    nodes = [helper.make_node("QuantizeLinear", ["v0", "step", "zero"], ["q0"])]
    for i in range(LAYERS):
        stored[f"w{i}"] = np.eye(SIZE, dtype=np.int8)
        nodes += [
            helper.make_node("DequantizeLinear", [f"q{i}", "step", "zero"], [f"r{i}"]),
            helper.make_node("DequantizeLinear", [f"w{i}", "wstep", "wzero"], [f"u{i}"]),
            helper.make_node("MatMul", [f"r{i}", f"u{i}"], [f"m{i}"]),
            helper.make_node("QuantizeLinear", [f"m{i}", "step", "zero"], [f"q{i + 1}"]),
        ]
    nodes.append(helper.make_node("DequantizeLinear", [f"q{LAYERS}", "step", "zero"], [f"v{LAYERS}"]))
    return _model(nodes, stored)


def _chain(count: int) -> Any:
    """Operators of eight numbers that no optimizer merges."""
    ops = ("Sigmoid", "Tanh")
    nodes = [helper.make_node(ops[i % 2], [f"v{i}"], [f"v{i + 1}"]) for i in range(count)]
    return _model(nodes, {}, columns=8)


def _model(nodes: list[Any], stored: dict[str, Any], columns: int = SIZE) -> Any:
    """A model from ``x`` (``v0``) to the last value."""
    rename = {"v0": "x"}
    for node in nodes:
        for index, value in enumerate(node.input):
            node.input[index] = rename.get(value, value)
    last = nodes[-1].output[0]
    shape = ["batch", columns]
    graph = helper.make_graph(
        nodes,
        "figures",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _call(model: Any, feed: dict[str, Any], threads: int) -> Callable[[], Any]:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.onnx"
        onnx.save(model, path)
        return open_session(path, threads).prepare(feed)


def _seconds(call: Callable[[], Any]) -> float:
    """Of the fastest of some calls, after one that warms up: neighbours only ever add time."""
    call()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def _short(value: float) -> float:
    return float(f"{value:.4g}")
