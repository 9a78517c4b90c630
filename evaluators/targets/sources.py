"""Where a target's figures come from: each names a source and says of what kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from spaces import Fault, InvalidTarget, Reader

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KINDS: Final = ("datasheet", "measured", "derived")
"""A maker's published figure; one that was measured, here or by others; one computed or estimated."""

FIGURES: Final = (
    "peak_ops",
    "efficiency",
    "memory",
    "overhead_us",
    "limits",
    "channel_multiple",
    "channel_block",
    "kernels",
    "sparsity",
    "energy_pj",
)
"""Fields of a target that hold figures, and so need a source."""

SOURCED: Final = (*FIGURES, "reduce_range", "host_requires", "runtime")
"""Fields that may have one."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a figure comes from.

    Attributes:
        kind: of `KINDS`.
        source: a document with its place in it, a setting that was measured, or a computation.
    """

    kind: str
    source: str

    def to_dict(self) -> dict[str, str]:
        """The form of the YAML file."""
        return {"kind": self.kind, "source": self.source}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Source:
        """Reads the form of the YAML file; `InvalidTarget` names the field."""
        if isinstance(document, str):
            detail = f"must say of what kind it is: {{kind: {' | '.join(KINDS)}, source: ...}}"
            raise InvalidTarget.at(pointer, detail)
        read = Reader(document, pointer, InvalidTarget)
        source = cls(read.text("kind", choices=KINDS), read.text("source"))
        read.done()
        if not source.source.strip():
            raise InvalidTarget.at(
                f"{pointer}/source", "is empty; name a document, a setting or a computation"
            )
        return source


def check_sources(document: Mapping[str, Any], sources: Mapping[str, Source]) -> None:
    """Refuses figures without a source, and sources without a figure.

    Args:
        document: a target's JSON form.
        sources: by field, such as ``memory``, or by one figure of it, such as ``memory/bandwidth_bytes_s``.

    Raises:
        InvalidTarget: with a pointer to each figure that has none, and to each source of nothing.
    """
    figures = [
        figure for field in FIGURES if field in document for figure in _figures(field, document[field])
    ]
    faults = [
        Fault(f"/{figure}", f"has no source; add sources: {{{figure}: {{kind: ..., source: ...}}}}")
        for figure in figures
        if not any(_covers(key, figure) for key in sources)
    ]
    known = [figure for field in SOURCED if field in document for figure in _figures(field, document[field])]
    faults += [
        Fault(
            f"/sources/{key.replace('~', '~0').replace('/', '~1')}",
            "is the source of no figure of this target",
        )
        for key in sources
        if not any(_covers(key, figure) for figure in known)
    ]
    if faults:
        raise InvalidTarget(faults)


def _figures(field: str, value: Any) -> Iterator[str]:
    """Fields that are objects have a figure for each key; lists are one figure, and 1 channel is none."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _figures(f"{field}/{key}", inner)
    elif value and (field, value) != ("channel_multiple", 1):
        yield field


def _covers(key: str, figure: str) -> bool:
    return figure == key or figure.startswith(f"{key}/")
