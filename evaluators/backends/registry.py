"""The backends by name; a backend's library is loaded when it is first asked for."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from spaces import DeploymentError, InvalidTarget, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from evaluators.backends.backend import DeploymentBackend


def _onnxruntime(options: Mapping[str, Any]) -> DeploymentBackend:
    from evaluators.backends.onnx_runtime import OnnxRuntime

    _refuse("onnxruntime", options)
    return OnnxRuntime()


def _openvino(options: Mapping[str, Any]) -> DeploymentBackend:
    if find_spec("openvino") is None:
        raise DeploymentError("the backend 'openvino' is not installed; install the extra: tauten[openvino]")
    from evaluators.backends.openvino_runtime import OpenVino

    return OpenVino(options)


def _torch(options: Mapping[str, Any]) -> DeploymentBackend:
    from evaluators.backends.torch_simulation import TorchSimulation

    _refuse("torch", options)
    return TorchSimulation()


BACKENDS: Final[dict[str, Callable[[Mapping[str, Any]], DeploymentBackend]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
    "torch": _torch,
}
"""Makers by name, which take the backend's options."""


def find_backend(name: str, options: Mapping[str, Any] | None = None) -> DeploymentBackend:
    """The backend of a name.

    Args:
        name: of `BACKENDS`.
        options: of the target's ``runtime.options``.

    Raises:
        UnknownName: with the names that exist.
        InvalidTarget: the backend does not have an option, or not with that value.
        DeploymentError: its library is not installed; names the extra.
    """
    if name not in BACKENDS:
        raise UnknownName("backend", name, tuple(BACKENDS))
    return BACKENDS[name](options or {})


def _refuse(name: str, options: Mapping[str, Any]) -> None:
    """Artifacts run as a user's default session runs them, so there is nothing to set."""
    for option in options:
        raise InvalidTarget.at(f"/runtime/options/{option}", f"the backend {name!r} takes no options")
