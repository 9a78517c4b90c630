"""The deployable file of a policy, and what must be known to make it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compression.export import OPSET
from spaces import Reader, digest_bytes

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Deployment:
    """What of a target shapes an artifact; a recipe records it, so that ``apply`` makes the same elsewhere.

    Attributes:
        channel_multiple: channels that remain after pruning are rounded up to it.
        reduce_range: int8 weights use 7 bits, for x86 CPUs without VNNI.
        threads: of training; sums in another order round otherwise.
        opset: ONNX operator set.
    """

    channel_multiple: int = 8
    reduce_range: bool = False
    threads: int = 1
    opset: int = OPSET

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "channel_multiple": self.channel_multiple,
            "reduce_range": self.reduce_range,
            "threads": self.threads,
            "opset": self.opset,
        }

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Deployment:
        """Reads the JSON form; an operator set that this version does not write is refused."""
        read = Reader(document, pointer)
        deployment = cls(
            read.whole("channel_multiple", low=1),
            read.flag("reduce_range", False),
            read.whole("threads", 1, low=1, high=1024),
            read.whole("opset", low=OPSET, high=OPSET),
        )
        read.done()
        return deployment


@dataclass(frozen=True, slots=True)
class Artifact:
    """A deployable file.

    Attributes:
        path: where it lies.
        digest: ``sha256:…`` of the file.
        size_bytes: of the file.
    """

    path: Path
    digest: str
    size_bytes: int

    @classmethod
    def at(cls, path: Path) -> Artifact:
        """Reads a file's digest and size."""
        data = path.read_bytes()
        return cls(path, digest_bytes(data), len(data))
