"""``hf:FILE.yaml``: texts, images or next tokens for a model of transformers; see `hf_model` for safety."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
import transformers

from evaluators.workloads.arrays import SPLITS, Examples, Splits, tensor_of
from evaluators.workloads.described import read_description
from evaluators.workloads.hf_model import HfWorkload, class_of
from evaluators.workloads.reading_data import read_files, read_images, read_table
from spaces import WorkloadError

if TYPE_CHECKING:
    from spaces import Reader

DESCRIPTION: Final = "tauten.yaml"
"""In a model's directory, where a directory is named instead of a file."""

PREPROCESSING: Final = "preprocessor_config.json"
USUAL_LENGTH: Final = 128


class HfText(HfWorkload):
    """Classifies texts of a CSV file with a column of texts and one of labels."""

    auto = transformers.AutoModelForSequenceClassification

    def read_data(self, read: Reader) -> None:
        """``csv``, ``text``, ``label``, ``length``."""
        self._files = read_files(read, "csv", self.directory)
        self._text, self._label = read.text("text", "text"), read.text("label", "label")
        self._length = read.whole("length", USUAL_LENGTH, low=1)
        read.done()

    @cached_property
    def tokenizer(self) -> Any:
        """Of the model's directory."""
        return self.loaded(transformers.AutoTokenizer)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Ids and mask, and segments where the model has them."""
        return tuple(self.tokenizer.model_input_names)

    def _read_splits(self) -> Splits:
        return Splits({split: self._examples(path) for split, path in self._files.items()}, self.seed)

    def _examples(self, path: Path) -> Examples:
        texts, labels = read_table(path, self._text, self._label)
        classes = np.array([class_of(label, self.config, path) for label in labels], dtype=np.int64)
        tokens = self.tokenizer(
            texts, padding="max_length", truncation=True, max_length=self._length, return_tensors="pt"
        )
        return Examples(tuple(tokens[name] for name in self.arguments), tensor_of(classes))


class HfImages(HfWorkload):
    """Classifies images of a folder with a folder for each class."""

    auto = transformers.AutoModelForImageClassification
    arguments = ("pixel_values",)

    def read_data(self, read: Reader) -> None:
        """``images``."""
        self._folder = self.directory / read.text("images")
        if not self._folder.is_dir():
            raise read.fail(
                "images", f"must be a folder with a folder for each class; {self._folder} is none"
            )
        read.done()

    def _read_splits(self) -> Splits:
        config = self.config
        size, channels = config.image_size, getattr(config, "num_channels", 3)
        height, width = size if isinstance(size, list | tuple) else (size, size)
        splits, names = read_images(
            self._folder, (height, width), channels, self._normalized(channels), self.seed
        )
        classes = torch.tensor([class_of(name, config, self._folder, names) for name in names])
        given = {split: Examples(splits[split].inputs, classes[splits[split].targets]) for split in SPLITS}
        return Splits(given, self.seed)

    def _normalized(self, channels: int) -> Any:
        """As the model's own preprocessing says; nothing where it has none."""
        path = Path(self.source) / PREPROCESSING
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        is_on = known.get("do_normalize", True)
        mean = np.array((is_on and known.get("image_mean")) or [0.0] * channels, np.float32)
        deviation = np.array((is_on and known.get("image_std")) or [1.0] * channels, np.float32)
        return lambda pixels: (pixels - mean[:, None, None]) / deviation[:, None, None]


class HfLanguage(HfWorkload):
    """Predicts the next token of plain texts, cut into stretches of equal length; judged by perplexity."""

    auto = transformers.AutoModelForCausalLM
    metric_name = "inverse-perplexity"
    arguments = ("input_ids",)

    def read_data(self, read: Reader) -> None:
        """``texts``, ``length``, ``stretches``."""
        self._files = read_files(read, "texts", self.directory)
        self._length = read.whole("length", USUAL_LENGTH, low=2)
        self._most = read.whole_or_none("stretches", low=1)
        read.done()

    def _read_splits(self) -> Splits:
        tokenizer = self.loaded(transformers.AutoTokenizer)
        return Splits(
            {split: self._examples(path, tokenizer) for split, path in self._files.items()}, self.seed
        )

    def _examples(self, path: Path, tokenizer: Any) -> Examples:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise WorkloadError(f"{path} is no text in UTF-8: {error}") from error
        ids = torch.tensor(tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.int64)
        count = len(ids) // (self._length + 1)
        if count == 0:
            raise WorkloadError(f"{path} has {len(ids)} tokens, fewer than one stretch of {self._length + 1}")
        rows = ids[: count * (self._length + 1)].reshape(count, self._length + 1)[: self._most]
        return Examples((rows[:, :-1].contiguous(),), rows[:, 1:].contiguous())


TASKS: Final[dict[str, type[HfWorkload]]] = {
    "text-classification": HfText,
    "image-classification": HfImages,
    "text-generation": HfLanguage,
}


def load_hf(path: Path) -> HfWorkload:
    """The workload that a description stands for.

    Args:
        path: of the description, or of a directory with a `DESCRIPTION`.

    Raises:
        InvalidValue: a field of the description is wrong.
        WorkloadError: a file that it names does not exist.
    """
    read, directory = read_description(path / DESCRIPTION if path.is_dir() else path)
    task = read.text("task", choices=TASKS)
    read, directory = read_description(path / DESCRIPTION if path.is_dir() else path)
    return TASKS[task](read, directory)
