"""What a policy costs, from the layers that it leaves: sizes and operations as they are, latency as learned.

A layer keeps the product of the shares that each ratio leaves of it. Bytes and milliseconds are linear in
weights and operations by format; the coefficients start from what formats are known to cost, and results
correct them by ridge regression on relative errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from search.samplers.guided.costs import LearnedCosts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from search.sweep import Floats, Ints
    from spaces import LayerInfo, StudentSpace

PULL: Final = 0.05
"""Weight of the belief that coefficients are as they were expected, in results."""

CONSTANT: Final = {"size_bytes": 0.01, "latency_ms": 0.1}
"""Share of the reference's cost that no layer is to blame for."""

INTEGER_TIME: Final = 0.35
"""Time of an integer layer relative to a float one, before anything is measured (docs of the target vary)."""

BYTE: Final = 8
LEAST: Final = 1e-3


class NetworkCosts:
    """The costs of one student's points.

    Args:
        space: its axes.
        layers: with nothing compressed.
        left: by place of a ratio and choice: shares of multiply-accumulates and weights left, by layer.
        names: of the costs.
        reference: of the uncompressed reference, by name; all above 0.
    """

    def __init__(
        self,
        space: StudentSpace,
        layers: Sequence[LayerInfo],
        left: Mapping[str, Sequence[Mapping[str, tuple[float, float]]]],
        names: Sequence[str],
        reference: Mapping[str, float],
    ) -> None:
        self._names = tuple(names)
        self._position = {axis.name: index for index, axis in enumerate(space.axes)}
        self._macs = np.array([layer.macs for layer in layers], dtype=np.float64)
        self._parameters = np.array([layer.parameters for layer in layers], dtype=np.float64)
        rows = {layer.name: row for row, layer in enumerate(layers)}
        self._left = []
        for place, axis in space.prune.items():
            table = np.ones((2, len(axis.choices), len(layers)))
            for choice, changed in enumerate(left.get(place, ())):
                for name, shares in changed.items():
                    if name in rows:
                        table[:, choice, rows[name]] = shares
            self._left.append((self._position[axis.name], table))
        formats = list(dict.fromkeys(bits for axis in space.bits.values() for bits in axis.choices))
        self._float = next((at for at, bits in enumerate(formats) if bits.is_float), len(formats))
        self._formats: list[Any] = formats if self._float < len(formats) else [*formats, None]
        self._format_of = []
        for name, axis in space.bits.items():
            if name in rows:
                order = np.array([formats.index(bits) for bits in axis.choices])
                self._format_of.append((self._position[axis.name], rows[name], order))
        self._reference = {name: reference[name] for name in names}
        sizes = [len(axis.choices) for axis in space.axes]
        self._other = {name: LearnedCosts(sizes, 1) for name in names if name not in _EXPECTED}

    def fitted(self, points: Ints, observed: Floats) -> Callable[[Ints], Floats]:
        """Costs with coefficients corrected by what was observed."""
        columns: list[Callable[[Ints], Floats]] = []
        for at, name in enumerate(self._names):
            seen = observed[:, at] if len(points) else np.zeros(0)
            if name in self._other:
                learned = self._other[name].fitted(points, seen[:, None])
                columns.append(lambda asked, learned=learned: learned(asked)[:, 0])  # type: ignore[misc]
                continue
            parts = self._parts(name, points)
            factors = _corrected(parts, seen) if len(points) else np.ones(parts.shape[1])
            least = LEAST * self._reference[name]
            columns.append(
                lambda asked, name=name, factors=factors, least=least: np.maximum(  # type: ignore[misc]
                    self._parts(name, asked) @ factors, least
                )
            )
        return lambda asked: np.column_stack([column(asked) for column in columns])

    def _parts(self, name: str, points: Ints) -> Floats:
        """What the constant and each format contribute, as expected: ``n x (1 + formats)``."""
        constant, per_format = _EXPECTED[name]
        reference = self._reference[name]
        macs, parameters = self._amounts(points)
        amounts = parameters if name == "size_bytes" else macs
        total = self._parameters.sum() if name == "size_bytes" else self._macs.sum()
        used = self._used(points)
        parts = [np.full(len(points), constant * reference)]
        for at, bits in enumerate(self._formats):
            share = (amounts * (used == at)).sum(axis=1) / max(total, 1.0)
            parts.append((1 - constant) * reference * per_format(bits) * share)
        return np.column_stack(parts)

    def _amounts(self, points: Ints) -> tuple[Floats, Floats]:
        """Multiply-accumulates and weights that are left of each layer: ``n x layers``, twice."""
        macs = np.tile(self._macs, (len(points), 1))
        parameters = np.tile(self._parameters, (len(points), 1))
        for axis, table in self._left:
            macs *= table[0][points[:, axis]]
            parameters *= table[1][points[:, axis]]
        return macs, parameters

    def _used(self, points: Ints) -> Ints:
        """The format of each layer: ``n x layers`` positions."""
        used = np.full((len(points), len(self._macs)), self._float, dtype=np.int64)
        for axis, row, order in self._format_of:
            used[:, row] = order[points[:, axis]]
        return used


def _corrected(parts: Floats, observed: Floats) -> Floats:
    """Factors around 1 by which parts must be multiplied to add up to what was observed."""
    relative = parts / observed[:, None]
    rest = 1 - relative.sum(axis=1)
    gram = relative.T @ relative + PULL * np.eye(parts.shape[1])
    factors: Floats = np.maximum(1 + np.linalg.solve(gram, relative.T @ rest), 0.0)
    return factors


def _size_of(bits: Any) -> float:
    return 1.0 if bits is None else float(bits.weight) / 32


def _time_of(bits: Any) -> float:
    return 1.0 if bits is None or bits.weight > BYTE or bits.activation > BYTE else INTEGER_TIME


_EXPECTED: Final[dict[str, tuple[float, Callable[[Any], float]]]] = {
    "size_bytes": (CONSTANT["size_bytes"], _size_of),
    "latency_ms": (CONSTANT["latency_ms"], _time_of),
    "macs": (0.0, lambda bits: 1.0),
}
"""By cost: the constant share, and what a format costs relative to 32-bit floating point."""
