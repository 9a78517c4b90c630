"""What a runtime must do to execute artifacts, and what its callers can rely on. Executes nothing itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from spaces import DeploymentError, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Input:
    """One input of an artifact.

    Attributes:
        name: in the artifact.
        shape: behind the batch axis, which is free.
    """

    name: str
    shape: tuple[int, ...]

    @classmethod
    def read(cls, name: str, dims: Iterable[int | str | None]) -> Input:
        """An input as a runtime declares it.

        Args:
            name: in the artifact.
            dims: its axes, batch first; whatever is no whole number is a dynamic axis.

        Raises:
            DeploymentError: an axis other than the first is dynamic, so that there is no latency to speak of.
        """
        rest = tuple(dims)[1:]
        for axis, size in enumerate(rest, 1):
            if not isinstance(size, int):
                raise DeploymentError(
                    f"input {name!r} has a dynamic axis {axis} ({size or 'unnamed'}); only the batch may be "
                    "free: pad or cut examples to one shape, and export with it"
                )
        return cls(name, tuple(size for size in rest if isinstance(size, int)))


class Session(Protocol):
    """An artifact that is loaded and can be called, until it is closed."""

    @property
    def inputs(self) -> tuple[Input, ...]:
        """In the order of `Workload.example_inputs`."""
        ...

    def prepare(self, feed: Mapping[str, Array]) -> Callable[[], Any]:
        """One call on given inputs, with nothing left to do but to execute it: this is what latency times."""
        ...

    def run(self, feed: Mapping[str, Array]) -> Array:
        """The main output, ``batch x …``.

        Raises:
            DeploymentError: an input is missing or of another shape, the runtime fails, or the session is
                closed.
        """
        ...

    def close(self) -> None:
        """Gives memory and threads back; a second time does nothing."""
        ...


class DeploymentBackend(Protocol):
    """A runtime.

    What it computes for an fp32 artifact differs from eager PyTorch by at most 1e-4 of the largest output.
    """

    @property
    def method(self) -> Method:
        """``measured`` where the file's own arithmetic runs, ``simulated`` where floats stand in for it."""
        ...

    def open(self, path: Path, threads: int = 1) -> Session:
        """Loads an artifact.

        Args:
            path: an ONNX file of `compression.deploy`.
            threads: of one operator; operators run one after another.

        Raises:
            DeploymentError: the runtime refuses the file, or an axis beside the batch is dynamic.
        """
        ...

    def executed_as(self, path: Path) -> dict[str, str]:
        """The kernels that run for an artifact, by module path of the layer, such as ``int8``.

        Raises:
            DeploymentError: the runtime refuses the file.
        """
        ...


@dataclass(frozen=True, slots=True)
class Execution:
    """How a target executes artifacts.

    Attributes:
        backend: a name of `BACKENDS`.
        options: of the backend; it refuses those that it does not know.
        threads: of one operator.
        pin: bind them to cores of their own.
    """

    backend: str = "onnxruntime"
    options: Mapping[str, Any] = field(default_factory=dict)
    threads: int = 1
    pin: bool = True


def check_feed(inputs: tuple[Input, ...], feed: Mapping[str, Array]) -> None:
    """Refuses what an artifact cannot take, in words that hold for every runtime.

    Args:
        inputs: of the session.
        feed: arrays by name, ``batch x …``.

    Raises:
        DeploymentError: an input is missing or too many, or has another shape; names it and the remedy.
    """
    names = {item.name for item in inputs}
    if names != set(feed):
        wanted, got = (", ".join(sorted(each)) or "none" for each in (names, set(feed)))
        raise DeploymentError(f"the artifact's inputs are {wanted}, but {got} was given")
    for item in inputs:
        given = tuple(feed[item.name].shape)
        if given[1:] != item.shape:
            wanted, got = (" x ".join(map(str, shape)) for shape in (("batch", *item.shape), given))
            raise DeploymentError(
                f"input {item.name!r} takes {wanted}, but {got} was given; every batch must have the shape "
                "of the workload's example inputs: pad or cut examples"
            )


def first_line(error: BaseException) -> str:
    """An error's type and its first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
