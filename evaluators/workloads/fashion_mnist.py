"""The data of Fashion-MNIST (Xiao et al. 2017): 70,000 gray images of clothes, 28 x 28, ten classes.

Finds and reads the four files of the original distribution, and splits them. Downloads nothing.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from evaluators.cache import cache_root, use
from spaces import UnknownName, WorkloadError, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

VARIABLE: Final = "TAUTEN_FASHION_MNIST"
SYSTEM: Final = Path("/usr/share/datasets/fashion-mnist")
"""Where the Debian package ``dataset-fashion-mnist`` puts the files."""

SHIFT: Final = 2
"""Largest shift of a train image, in pixels."""

_HELD_OUT: Final = {"validation": 12, "calibration": 12}
"""Of 60,000 images a twelfth each, 5,000; the remaining 50,000 are the train split."""

_FILES: Final = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


class FashionMnist:
    """The splits, read at first use: test is the official one, the others are stratified parts of train.

    Args:
        seed: of the parts.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    @cached_property
    def digest(self) -> str:
        """Of the pixels and labels, whatever their compression."""
        return digest_bytes(b"".join(array.tobytes() for pair in self._arrays.values() for array in pair))

    def size(self, split: str) -> int:
        """Examples of a split."""
        return len(self._split(split)[1])

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
        """Batches ``((n x 1 x 28 x 28 in [0, 1],), n)``; train is shuffled and augmented by `seed`.

        Raises:
            UnknownName: there is no such split.
            WorkloadError: the files are missing or damaged.
        """
        images, labels = self._split(split)
        generator = torch.Generator().manual_seed(seed)
        order = torch.arange(len(images))
        if split == "train":
            order = torch.randperm(len(images), generator=generator)
        order = order[:limit]
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            pixels = images[chosen]
            if split == "train":
                pixels = augment(pixels, generator)
            yield (pixels[:, None] / 255.0,), labels[chosen]

    def _split(self, split: str) -> tuple[Tensor, Tensor]:
        if split not in self._splits:
            raise UnknownName("split", split, tuple(self._splits))
        return self._splits[split]

    @cached_property
    def _splits(self) -> dict[str, tuple[Tensor, Tensor]]:
        images, labels = self._arrays["train"]
        rest, total = np.arange(len(labels)), len(labels)
        parts = {}
        for split, share in _HELD_OUT.items():
            rest, parts[split] = train_test_split(
                rest, test_size=total // share, stratify=labels[rest], random_state=self._seed
            )
        parts["train"] = np.sort(rest)
        splits = {split: (images[chosen], labels[chosen]) for split, chosen in parts.items()}
        splits["test"] = self._arrays["test"]
        return {
            split: (torch.from_numpy(pixels), torch.from_numpy(classes.astype(np.int64)))
            for split, (pixels, classes) in splits.items()
        }

    @cached_property
    def _arrays(self) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
        directory = find_fashion_mnist()
        read = {}
        for part, (images, labels) in _FILES.items():
            read[part] = read_idx(use(directory / images), 3), read_idx(use(directory / labels), 1)
            if len(read[part][0]) != len(read[part][1]):
                raise WorkloadError(
                    f"{directory}: {images} holds {len(read[part][0])} images,"
                    f" {labels} {len(read[part][1])} labels; the files do not belong together"
                )
        return read


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shifts each image by up to two pixels, black coming in, and mirrors every other one.

    Args:
        images: ``n x h x w``, any dtype.
        generator: decides for each image.

    Returns:
        New images of the same shape and dtype.
    """
    count, height, width = images.shape
    padded = F.pad(images, (SHIFT,) * 4)
    down, right = torch.randint(0, 2 * SHIFT + 1, (2, count, 1), generator=generator)
    rows, columns = torch.arange(height) + down, torch.arange(width) + right
    mirrored = torch.rand(count, 1, generator=generator) < 0.5  # noqa: PLR2004
    columns = torch.where(mirrored, columns.flip(1), columns)
    return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def find_fashion_mnist() -> Path:
    """The directory that holds the four files.

    ``$TAUTEN_FASHION_MNIST`` if set, else where ``make data`` or the Debian package puts them.

    Raises:
        WorkloadError: a file is missing; the message has the remedies.
    """
    named = os.environ.get(VARIABLE)
    places = [Path(named)] if named else [cache_root() / "fashion-mnist", SYSTEM]
    wanted = [name for pair in _FILES.values() for name in pair]
    for place in places:
        lacking = [name for name in wanted if not (place / name).is_file()]
        if not lacking:
            return place
    where = f"{places[0]} (from {VARIABLE}) lacks {', '.join(lacking)}" if named else "its files are missing"
    raise WorkloadError(
        f"Fashion-MNIST: {where}; run `make data` (on Debian also `apt-get install dataset-fashion-mnist`),"
        f" or set {VARIABLE} to a directory with {', '.join(wanted)}"
    )


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """An array of bytes in the IDX format, gzipped (LeCun's MNIST page: magic 0x0000 08 d, then d sizes).

    Args:
        path: the file.
        dimensions: that it must have.

    Raises:
        WorkloadError: it cannot be read, or is no such file.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise WorkloadError(f"{path} cannot be read: {error}; fetch it again with `make data`") from error
    start = 4 * (1 + dimensions)
    header = np.frombuffer(content[:start], ">u4") if len(content) >= start else np.zeros(1, ">u4")
    shape = tuple(int(size) for size in header[1:])
    if header[0] != 0x800 + dimensions or len(content) - start != math.prod(shape):
        raise WorkloadError(
            f"{path} is no IDX file of bytes with {dimensions} dimensions; fetch it again with `make data`"
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape).copy()
