"""OpenVINO on the CPU, held to 32-bit floats where a layer is not quantized.

Left to itself (2026.4) it runs fp32 models in bfloat16 on CPUs that have it, so that every speed-up against
such a "baseline" is wrong. It also rounds the activations of layers whose weights alone are integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import openvino

from evaluators.backends.backend import Array, Input, check_feed
from spaces import DeploymentError, InvalidTarget, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from evaluators.backends.backend import Session

DEVICE: Final = "CPU"
OPTIONS: Final[dict[str, tuple[str, ...]]] = {"precision": ("f32", "default")}
"""``precision: f32`` is set unless a target asks for what OpenVINO does by default."""

_WEIGHT_TYPES: Final = frozenset({"Convolution", "FullyConnected", "MatMul", "RNNCell", "RNNSeq", "Gather"})
_PRECISIONS: Final = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}
_INTEGERS: Final = frozenset({"i8", "u8"})


class OpenVino:
    """The backend; see `evaluators.backends.DeploymentBackend`.

    Args:
        options: ``precision``, see `OPTIONS`.

    Raises:
        InvalidTarget: another option or value.
    """

    method = Method.MEASURED

    def __init__(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            if name not in OPTIONS:
                detail = f"the backend 'openvino' has no such option; it has {', '.join(OPTIONS)}"
                raise InvalidTarget.at(f"/runtime/options/{name}", detail)
            if value not in OPTIONS[name]:
                detail = f"must be {' or '.join(OPTIONS[name])}, not {value!r}"
                raise InvalidTarget.at(f"/runtime/options/{name}", detail)
        self._precision = options.get("precision", "f32")
        self._core = openvino.Core()

    def open(self, path: Path, threads: int = 1) -> Session:
        """Loads an artifact."""
        return _OpenVinoSession(self._compile(path, threads))

    def executed_as(self, path: Path) -> dict[str, str]:
        """Read from the runtime's own model: the precision in which each layer's primitive computes."""
        import onnx

        from compression import output_layers  # it loads torch, which no measuring process needs

        compiled = self._compile(path, 1)
        outputs = output_layers(onnx.load(path).graph)
        found: dict[str, set[str]] = {}
        for node in compiled.get_runtime_model().get_ordered_ops():
            facts = {key: value.astype(str) for key, value in node.get_rt_info().items()}
            if facts.get("layerType") not in _WEIGHT_TYPES:
                continue
            layer = _layer(facts.get("originalLayersNames", ""), outputs)
            if layer is not None:
                found.setdefault(layer, set()).add(_kernel(facts))
        return {
            layer: next(iter(kernels)) if len(kernels) == 1 else f"mixed ({', '.join(sorted(kernels))})"
            for layer, kernels in found.items()
        }

    def _compile(self, path: Path, threads: int) -> Any:
        settings: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # whoever measures has pinned the process
        }
        if self._precision == "f32":
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        try:
            return self._core.compile_model(str(path), DEVICE, settings)
        except Exception as error:  # everything is a RuntimeError, over many lines
            raise DeploymentError(f"OpenVINO refuses the artifact: {_reason(error)}") from error


class _OpenVinoSession:
    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self.inputs = tuple(
            Input.read(item.get_any_name(), [_size(dimension) for dimension in item.get_partial_shape()])
            for item in compiled.inputs
        )

    def prepare(self, feed: Mapping[str, Array]) -> Callable[[], Any]:
        if self._compiled is None:
            raise DeploymentError("the session is closed")
        check_feed(self.inputs, feed)
        return self._request(feed)[1]

    def run(self, feed: Mapping[str, Array]) -> Array:
        if self._compiled is None:
            raise DeploymentError("the session is closed")
        check_feed(self.inputs, feed)
        try:
            request, call = self._request(feed)
            call()
        except Exception as error:
            raise DeploymentError(f"OpenVINO fails: {_reason(error)}") from error
        array: Array = request.get_output_tensor(0).data.copy()
        return array

    def close(self) -> None:
        self._compiled = None

    def _request(self, feed: Mapping[str, Array]) -> tuple[Any, Callable[[], Any]]:
        request = self._compiled.create_infer_request()
        for item in self.inputs:
            request.set_tensor(item.name, openvino.Tensor(feed[item.name].copy()))
        return request, request.infer


def _layer(names: str, outputs: Mapping[str, str]) -> str | None:
    """The layer among the names of all that was fused into one primitive: the first, its own operator."""
    from compression import layer_of

    each = [name.removesuffix("/WithoutBiases") for name in names.split(",")]
    known = (layer_of(name) or outputs.get(name) for name in each)
    return next((layer for layer in known if layer is not None), None)


def _kernel(facts: Mapping[str, str]) -> str:
    precision, primitive = facts.get("runtimePrecision", ""), facts.get("primitiveType", "")
    if precision in _INTEGERS:
        if facts["layerType"] == "Gather":
            return "int8-weight"
        return "int8" if primitive.endswith("_I8") else "int8-dynamic"
    return _PRECISIONS.get(precision, precision)


def _size(dimension: Any) -> int | str:
    return str(dimension) if dimension.is_dynamic else int(dimension.get_length())


def _reason(error: Exception) -> str:
    """The last line says what is wrong; those before it say where in OpenVINO's source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
