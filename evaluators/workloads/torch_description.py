"""``torch:FILE.yaml``: a network from a file of Python, weights from safetensors, data from arrays or images.

The file of the network is code and runs; weights and data are read as what they are and run nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from compression import one_line
from evaluators.workloads.described import Described, read_description
from evaluators.workloads.modules import module_of_file
from evaluators.workloads.reading_data import MODES, read_files, read_images, read_npz
from spaces import Reader, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evaluators.workloads.arrays import Splits


class TorchWorkload(Described):
    """The workload.

    Args:
        path: of the description.

    Raises:
        InvalidValue: a field of the description is wrong.
        WorkloadError: a file that it names does not exist.
    """

    def __init__(self, path: Path) -> None:
        read, directory = read_description(path)
        super().__init__(read, directory)
        self._model = _Model(read.required("model"), read.at("model"), directory)
        given = read.required("data")
        data = Reader(given, read.at("data"))
        self._data = _arrays(data, directory) if "npz" in given else _images(data, directory)
        read.done()

    def model(self) -> nn.Module:
        """The network with its weights, in eval mode.

        Raises:
            WorkloadError: its code fails, or the weights are not its own.
        """
        return self._model.load()

    def _read_splits(self) -> Splits:
        return self._data(self.seed)


class _Model:
    """Of the field ``model``."""

    def __init__(self, document: Any, pointer: str, directory: Path) -> None:
        read = Reader(document, pointer)
        self._file = directory / read.text("file")
        self._factory = read.text("factory")
        self._weights = directory / read.text("weights")
        self._arguments = read.mapping("arguments", lambda value, where: value)
        read.done()
        for path in (self._file, self._weights):
            if not path.is_file():
                raise WorkloadError(f"{path} does not exist; paths are relative to the description")

    def load(self) -> nn.Module:
        try:
            model = getattr(module_of_file(self._file), self._factory)(**self._arguments)
        except Exception as error:  # the user's code may raise anything
            raise WorkloadError(f"{self._file}: {self._factory} raised {one_line(error)}") from error
        if not isinstance(model, nn.Module):
            raise WorkloadError(f"{self._file}: {self._factory} returned a {type(model).__name__}, no module")
        try:
            model.load_state_dict(load_file(self._weights))
        except (RuntimeError, SafetensorError) as error:
            detail = " ".join(str(error).split())
            raise WorkloadError(f"{self._weights} does not hold this network's weights: {detail}") from error
        return model.eval()


def _arrays(read: Reader, directory: Path) -> Callable[[int], Splits]:
    files = read_files(read, "npz", directory)
    inputs, targets = read.texts("inputs", ("x",)), read.text("targets", "y")
    read.done()
    return lambda seed: read_npz(files, inputs, targets, seed)


def _images(read: Reader, directory: Path) -> Callable[[int], Splits]:
    folder = directory / read.text("images")
    if not folder.is_dir():
        raise read.fail("images", f"must be a folder with a folder for each class; {folder} is none")
    height, width = read.wholes("size")
    channels = read.whole("channels", 3)
    if channels not in MODES:
        raise read.fail("channels", f"must be 1 (gray) or 3 (RGB), not {channels}")
    mean, deviation = read.number("mean", 0.0), read.number("std", 1.0)
    read.done()
    return lambda seed: read_images(
        folder, (height, width), channels, lambda pixels: (pixels - mean) / deviation, seed
    )[0]
