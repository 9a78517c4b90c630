"""A workload that a description in YAML stands for: what all kinds of it share. Knows no kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any

import yaml

from evaluators.workloads.naming import NAME
from evaluators.workloads.tasks import LOSSES, METRICS, USUAL_METRIC
from spaces import InvalidValue, Reader, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from compression import Batch
    from evaluators.workloads.arrays import Splits


class Described(ABC):
    """The workload; subclasses bring the model and read the data.

    Args:
        read: of the whole description; the subclass reads on and is done.
        directory: to which paths in the description are relative.
        loss: where the description names none.
        metric: where the description names none; ``None`` is the usual one of the loss.

    Attributes:
        name: of the workload.
        task: for people.
        seed: of the division of the data.
    """

    def __init__(
        self, read: Reader, directory: Path, loss: str = "cross-entropy", metric: str | None = None
    ) -> None:
        self.name = read.text("name")
        if not NAME.fullmatch(self.name):
            raise read.fail("name", f"must be of letters, digits, '.', '_', '-', not {self.name!r}")
        self.task = read.text("task")
        self.seed = read.whole("seed", 0)
        self.directory = directory
        chosen = read.text("loss", loss, LOSSES)
        self._loss = LOSSES[chosen]
        self._metric = METRICS[read.text("metric", metric or USUAL_METRIC[chosen], METRICS)]

    @abstractmethod
    def model(self) -> nn.Module:
        """The trained reference in eval mode."""

    @abstractmethod
    def _read_splits(self) -> Splits:
        """All of the data."""

    @cached_property
    def _splits(self) -> Splits:
        return self._read_splits()

    def example_inputs(self) -> tuple[Tensor, ...]:
        """The inputs of one example, with a batch of 1."""
        return self._splits.example_inputs()

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Batches of a split; train is shuffled by `seed`.

        Raises:
            UnknownName: there is no such split.
            WorkloadError: the data cannot be read.
        """
        return self._splits.batches(split, batch_size, limit=limit, seed=seed)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """As described."""
        return self._loss(outputs, targets)

    def metric(self, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        """As described; higher is better."""
        return self._metric(outputs, targets)


def read_description(path: Path) -> tuple[Reader, Path]:
    """A description in YAML, ready to be read, and the directory to which its paths are relative.

    Raises:
        WorkloadError: there is no such file.
        InvalidValue: it is no YAML.
    """
    if not path.is_file():
        raise WorkloadError(f"{path} does not exist; give the path of a description in YAML")
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidValue.at("", f"{path} is no YAML: {' '.join(str(error).split())}") from error
    return Reader(document), path.resolve().parent
