"""What a sampler proposes, and the seed that it draws with for one trial."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spaces import Point


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a sampler proposes.

    Attributes:
        point: coordinates in the space.
        state: what the sampler must be told again with the trial when its study is rebuilt.
    """

    point: Point
    state: Mapping[str, Any]


def seed_for(seed: int, number: int) -> int:
    """A seed of 32 bits for one trial of a job."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")
