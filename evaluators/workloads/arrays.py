"""Data that fit into memory, as splits of a workload: divided once, and served in batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

import numpy as np
import torch

from compression import Split
from spaces import UnknownName, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from compression import Batch

SPLITS: Final[tuple[str, ...]] = get_args(Split)
SHARES: Final = {"test": 0.15, "validation": 0.15, "calibration": 0.05}
"""Of the examples, for splits that nobody gives; the rest is train."""


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples of one split, or of all.

    Attributes:
        inputs: one tensor for each argument of the model, each ``n x …``.
        targets: ``n x …``.
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor

    def __post_init__(self) -> None:
        lengths = {len(item) for item in (*self.inputs, self.targets)}
        if len(lengths) != 1:
            raise WorkloadError(f"inputs and targets are of different lengths: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, chosen: Tensor) -> Examples:
        """The chosen ones, in that order."""
        return Examples(tuple(item[chosen] for item in self.inputs), self.targets[chosen])


class Splits:
    """The four splits.

    Args:
        given: by split. What lacks of `SPLITS` is taken out of train by `SHARES`, the same for the same seed.
        seed: of the division.

    Raises:
        WorkloadError: there is no train, or a split would be empty.
    """

    def __init__(self, given: Mapping[str, Examples], seed: int = 0) -> None:
        unknown = sorted(set(given) - set(SPLITS))
        if unknown or "train" not in given:
            raise WorkloadError(
                f"splits must be train and, if you like, {', '.join(SHARES)}; not {', '.join(sorted(given))}"
            )
        self._splits = dict(given)
        rest = given["train"]
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(rest)))
        for split, share in SHARES.items():
            if split not in given:
                count = round(share * len(rest))
                self._splits[split], order = rest.take(order[:count]), order[count:]
        self._splits["train"] = rest.take(order.sort().values)
        empty = [split for split in SPLITS if not len(self._splits[split])]
        if empty:
            raise WorkloadError(f"{' and '.join(empty)} would be empty; there are too few examples")

    def __getitem__(self, split: str) -> Examples:
        if split not in self._splits:
            raise UnknownName("split", split, SPLITS)
        return self._splits[split]

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Batches ``((inputs, …), targets)``; train is shuffled by `seed`.

        Raises:
            UnknownName: there is no such split.
        """
        examples = self[split]
        order = torch.arange(len(examples))
        if split == "train":
            order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))
        for chosen in torch.split(order[:limit], batch_size):
            batch = examples.take(chosen)
            yield batch.inputs, batch.targets

    def example_inputs(self) -> tuple[Tensor, ...]:
        """The inputs of one example of calibration, with a batch of 1."""
        return tuple(item[:1] for item in self["calibration"].inputs)


def tensor_of(values: NDArray[Any]) -> Tensor:
    """Floats as float32, whole numbers as int64, as PyTorch's layers and losses want them.

    Raises:
        WorkloadError: they are no numbers.
    """
    if values.dtype.kind == "f":
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    if values.dtype.kind in "iub":
        return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
    raise WorkloadError(f"an array of {values.dtype} holds no numbers")
