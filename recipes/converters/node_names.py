"""Names of a layer's nodes in the ONNX files that ``tauten apply`` writes: ``@<module path>@<call>``.

The files' nodes are named so by `compression.graph`, which a test holds to these functions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spaces import LayerInfo


def node_names(info: LayerInfo) -> list[str]:
    """The nodes of a layer, one for each call."""
    return [f"@{_escaped(info.name)}@{call}" for call in range(info.calls)]


def pattern_of_others(names: Iterable[str]) -> str:
    """A regular expression that fits, from its start, the names of all nodes but those of some layers.

    Args:
        names: module paths.
    """
    alternatives = "|".join(re.escape(_escaped(name)) for name in sorted(names))
    return rf"^(?!@(?:{alternatives})@\d+$)" if alternatives else "^"


def _escaped(layer: str) -> str:
    return layer.replace("%", "%25").replace("@", "%40")
