"""What is removed of a layer, and by which criterion. Pure values."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from spaces.checks import assign, check, check_among, real
from spaces.errors import InvalidPolicy
from spaces.reading import Reader, shown

Criterion = Literal["l1", "l2", "gradient", "taylor", "bn_scale", "random"]

_NAMED_GRANULARITIES: Final = ("weight", "channel", "head", "layer")
_N_OF_M: Final = re.compile(r"([1-9][0-9]?):([1-9][0-9]?)")


def n_of_m(granularity: str) -> tuple[int, int] | None:
    """``(n, m)`` of a pattern such as ``2:4``, which keeps n of every m weights; ``None`` for other names."""
    match = _N_OF_M.fullmatch(granularity)
    return None if match is None else (int(match[1]), int(match[2]))


def check_granularity(granularity: str, pointer: str) -> None:
    """Refuses a pruning granularity that is neither named nor of the form ``n:m`` with ``n < m``."""
    pattern = n_of_m(granularity)
    if granularity in _NAMED_GRANULARITIES or (pattern and pattern[0] < pattern[1]):
        return
    raise InvalidPolicy.at(pointer, f"{shown(granularity)} is not one of: weight, n:m, channel, head, layer")


@dataclass(frozen=True, slots=True)
class Prune:
    """A share to remove.

    Attributes:
        ratio: share removed, ``0 <= ratio < 1``; channels are rounded by `spaces.kept_channels`, other units
            down; a pattern ``n:m`` removes ``1 - n/m`` or nothing.
        granularity: ``weight`` and ``n:m`` set single weights to zero and keep the shapes; ``channel`` and
            ``head`` stand at the first layer of their group; ``layer`` stands at the container of repeated
            blocks and removes whole blocks.
        criterion: how the least important parts are found.
        threshold: instead of a ratio: weights of a magnitude below it go; above 0, ``weight`` and ``l1``
            only.
    """

    ratio: float = 0.0
    granularity: str = "channel"
    criterion: Criterion = "l1"
    threshold: float | None = None

    def __post_init__(self) -> None:
        check(0 <= self.ratio < 1, "/ratio", f"must be at least 0 and below 1, not {shown(self.ratio)}")
        check_granularity(self.granularity, "/granularity")
        check_among(self.criterion, Criterion, "/criterion")
        pattern = n_of_m(self.granularity)
        if pattern is not None and self.ratio != 0:
            removed = 1 - pattern[0] / pattern[1]
            fits = math.isclose(self.ratio, removed, abs_tol=1e-9)
            check(fits, "/ratio", f"{self.granularity!r} removes {removed:g}, not {shown(self.ratio)}")
        assign(self, ratio=real(self.ratio))
        if self.threshold is not None:
            self._check_threshold(self.threshold)

    def _check_threshold(self, threshold: float) -> None:
        is_positive = 0 < threshold < math.inf
        check(is_positive, "/threshold", f"must be above 0 and finite, not {shown(threshold)}")
        goes = self.granularity == "weight" and self.criterion == "l1"
        check(goes, "/threshold", "goes with granularity 'weight' and criterion 'l1' only")
        check(self.ratio == 0, "/threshold", "takes the place of a ratio; give one of the two")
        assign(self, threshold=real(threshold))

    @property
    def is_empty(self) -> bool:
        """Nothing is removed."""
        return self.ratio == 0 and self.threshold is None

    @property
    def is_structured(self) -> bool:
        """Whole channels, heads or blocks go, and shapes shrink."""
        return self.granularity in {"channel", "head", "layer"}

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without a threshold that is not there."""
        form: dict[str, Any] = {
            "ratio": self.ratio,
            "granularity": self.granularity,
            "criterion": self.criterion,
        }
        return form if self.threshold is None else form | {"threshold": self.threshold}

    @classmethod
    def from_dict(cls, document: Any, pointer: str = "") -> Prune:
        """Reads the JSON form; raises `InvalidPolicy` with the pointer of the wrong field."""
        read = Reader(document, pointer, InvalidPolicy)
        criterion: Any = read.text("criterion", "l1")
        threshold = read.number_or_none("threshold")
        ratio = read.number("ratio") if threshold is None else read.number("ratio", 0.0)
        return read.build(cls, ratio, read.text("granularity", "channel"), criterion, threshold)
