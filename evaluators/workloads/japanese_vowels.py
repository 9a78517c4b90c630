"""The data of Japanese Vowels (Kudo et al. 1999): vowels of nine men, as twelve coefficients over time.

Finds, reads and splits them. Downloads nothing.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.model_selection import train_test_split

from evaluators.cache import cache_root
from evaluators.workloads.arrays import Examples, Splits, tensor_of
from spaces import WorkloadError, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

VARIABLE: Final = "TAUTEN_JAPANESE_VOWELS"
FILES: Final = {"train": "JapaneseVowels_TRAIN.ts", "test": "JapaneseVowels_TEST.ts"}
STEPS: Final = 29
"""Of the longest utterance; shorter ones are filled up with zeros at the start."""

COEFFICIENTS: Final = 12
HELD_OUT: Final = {"validation": 150, "calibration": 40}
"""Of the official test's 370 utterances; the other 180 are the test split, the official 270 train."""

Utterance = tuple["NDArray[np.float32]", int]
"""``steps x 12`` coefficients, and the speaker from 0 to 8."""


class JapaneseVowels:
    """The splits, read at first use; validation, calibration and test are stratified by speaker.

    Args:
        seed: of the parts.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    @property
    def digest(self) -> str:
        """Of the files.

        Raises:
            WorkloadError: one is missing.
        """
        directory = find_japanese_vowels()
        return digest_bytes(b"".join((directory / name).read_bytes() for name in FILES.values()))

    @cached_property
    def splits(self) -> Splits:
        """Utterances ``n x 29 x 12``, each coefficient with mean 0 and variance 1 over train, and speakers.

        Raises:
            WorkloadError: a file is missing or damaged.
        """
        directory = find_japanese_vowels()
        train, other = (read_utterances(directory / FILES[part]) for part in ("train", "test"))
        spoken = np.concatenate([values for values, _ in train])
        mean, deviation = spoken.mean(axis=0), spoken.std(axis=0)
        rest = np.arange(len(other))
        parts = {}
        for split, size in HELD_OUT.items():
            speakers = [other[index][1] for index in rest]
            rest, parts[split] = train_test_split(
                rest, test_size=size, stratify=speakers, random_state=self._seed
            )
        parts["test"] = rest
        chosen = {split: [other[index] for index in np.sort(part)] for split, part in parts.items()}
        return Splits(
            {split: _examples(found, mean, deviation) for split, found in {"train": train, **chosen}.items()}
        )


def find_japanese_vowels() -> Path:
    """The directory of the two files: ``$TAUTEN_JAPANESE_VOWELS`` if set, else where ``make data`` puts it.

    Raises:
        WorkloadError: a file is missing; the message has the remedies.
    """
    directory = Path(os.environ.get(VARIABLE) or cache_root() / "japanese-vowels")
    lacking = [name for name in FILES.values() if not (directory / name).is_file()]
    if lacking:
        raise WorkloadError(
            f"Japanese Vowels: {directory} lacks {', '.join(lacking)}; run `make data`,"
            f" or set {VARIABLE} to the directory that holds them"
        )
    return directory


def read_utterances(path: Path) -> list[Utterance]:
    """The utterances of a file in the form ``.ts``: channels between colons, the speaker from 1 to 9 last.

    Raises:
        WorkloadError: the file is not of that form.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    data = [line for line in lines if line.strip() and line[0] not in "#@"]
    try:
        found = []
        for line in data:
            *channels, speaker = line.split(":")
            values = np.array([channel.split(",") for channel in channels], dtype=np.float32).T
            if values.shape[1:] != (COEFFICIENTS,) or not 0 < len(values) <= STEPS:
                raise ValueError(f"an utterance of shape {values.shape}")  # noqa: TRY301  # as a wrong number
            found.append((values, int(speaker) - 1))
    except ValueError as error:
        raise WorkloadError(
            f"{path} does not hold utterances of {COEFFICIENTS} coefficients over at most {STEPS} steps:"
            f" {error}; fetch it again with `make data`"
        ) from error
    return found


def _examples(
    utterances: Sequence[Utterance], mean: NDArray[np.float32], deviation: NDArray[np.float32]
) -> Examples:
    inputs = np.zeros((len(utterances), STEPS, COEFFICIENTS), np.float32)
    for row, (values, _) in zip(inputs, utterances, strict=True):
        row[STEPS - len(values) :] = (values - mean) / deviation
    return Examples((tensor_of(inputs),), tensor_of(np.array([speaker for _, speaker in utterances])))
