"""Reads the data that a description names: arrays, folders of images, tables. Runs no code of theirs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from evaluators.workloads.arrays import Examples, Splits, tensor_of
from spaces import InvalidValue, Reader, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

IMAGES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
MODES: Final = {1: "L", 3: "RGB"}
PIXEL: Final = 255.0

Files = dict[str, Path]
"""By split; one alone stands under ``train`` and is divided."""


def read_files(read: Reader, key: str, directory: Path) -> Files:
    """A path, or an object of paths by split, relative to the description.

    Raises:
        InvalidValue: the field is neither.
        WorkloadError: a file or folder does not exist.
    """
    value = read.required(key)
    if isinstance(value, str):
        value = {"train": value}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise InvalidValue.at(read.at(key), "must be a path, or paths by split")
    found = {str(split): directory / path for split, path in value.items()}
    for path in found.values():
        if not path.exists():
            raise WorkloadError(f"{path} does not exist; paths are relative to the description, {directory}")
    return found


def read_npz(files: Files, inputs: Sequence[str], targets: str, seed: int) -> Splits:
    """Arrays by name out of ``.npz`` files; pickled objects are refused.

    Args:
        files: by split.
        inputs: names of the arrays that the model takes, in the order of its arguments.
        targets: name of the array of targets.
        seed: of the division.

    Raises:
        WorkloadError: an array is missing or holds no numbers, or the file is none.
    """

    def read(path: Path) -> Examples:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                lacking = [name for name in (*inputs, targets) if name not in arrays]
                if lacking:
                    raise WorkloadError(f"{path} lacks {', '.join(lacking)}; it holds {', '.join(arrays)}")
                return Examples(tuple(tensor_of(arrays[name]) for name in inputs), tensor_of(arrays[targets]))
        except (ValueError, OSError, TypeError) as error:
            raise WorkloadError(f"{path} is no .npz of plain arrays: {error}") from error

    return _splits(files, read, seed)


def read_images(
    folder: Path, size: tuple[int, int], channels: int, normalize: Callable[[Any], Any], seed: int
) -> tuple[Splits, list[str]]:
    """Images of ``folder/CLASS/*`` or ``folder/SPLIT/CLASS/*``, and the classes' names, sorted.

    Args:
        folder: of the images.
        size: height and width to which they are scaled.
        channels: 1 (gray) or 3 (RGB).
        normalize: of ``n x channels x height x width`` float32 in [0, 1].
        seed: of the division where the folder has no splits.

    Raises:
        WorkloadError: Pillow is missing, there are no images, or the splits' classes differ.
    """
    found = {path.name for path in folder.iterdir() if path.is_dir()}
    parts = {split: folder / split for split in found} if "train" in found else {"train": folder}
    classes = sorted(path.name for path in parts["train"].iterdir() if path.is_dir())

    def read(part: Path) -> Examples:
        labelled = [
            (path, classes.index(path.parent.name))
            for path in sorted(part.glob("*/*"))
            if path.suffix.lower() in IMAGES and path.parent.name in classes
        ]
        strangers = sorted({path.name for path in part.iterdir() if path.is_dir()} - set(classes))
        if strangers or not labelled:
            why = f"has classes that train lacks: {', '.join(strangers)}" if strangers else "holds no images"
            raise WorkloadError(f"{part} {why}; put images into {part}/CLASS/")
        pixels = np.stack([_pixels(path, size, channels) for path, _ in labelled])
        labels = np.array([label for _, label in labelled])
        return Examples((tensor_of(normalize(pixels)),), tensor_of(labels))

    return _splits(parts, read, seed), classes


def read_table(path: Path, text: str, label: str) -> tuple[list[str], list[str]]:
    """Two columns of a CSV file in UTF-8, with a header.

    Raises:
        WorkloadError: a column is missing, or the file is none.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            lacking = [name for name in (text, label) if name not in (rows.fieldnames or ())]
            if lacking:
                known = ", ".join(rows.fieldnames or ())
                raise WorkloadError(f"{path} has no column {', '.join(lacking)}; its header has: {known}")
            pairs = [(row[text], row[label]) for row in rows]
    except (UnicodeDecodeError, csv.Error) as error:
        raise WorkloadError(f"{path} is no CSV file in UTF-8: {error}") from error
    return [words for words, _ in pairs], [name for _, name in pairs]


def _splits(files: Mapping[str, Path], read: Callable[[Path], Examples], seed: int) -> Splits:
    return Splits({split: read(path) for split, path in files.items()}, seed)


def _pixels(path: Path, size: tuple[int, int], channels: int) -> Any:
    """``channels x height x width``, float32 in [0, 1]."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise WorkloadError("images need Pillow; install it with: pip install pillow") from error
    try:
        with Image.open(path) as image:
            scaled = image.convert(MODES[channels]).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError) as error:
        raise WorkloadError(f"{path} is no image: {error}") from error
    values = np.asarray(scaled, dtype=np.float32) / PIXEL
    return values[None] if channels == 1 else values.transpose(2, 0, 1)
